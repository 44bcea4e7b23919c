package nats

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/fxamacker/cbor/v2"
)

const (
	protocolVersion = 1
	maxMessageBytes = 512
	maxClusterBytes = 64
)

// kind is what a message is for.
type kind uint64

const (
	request kind = 1 // who is there? An answer goes to the reply subject
	answer  kind = 2 // to a request
	hello   kind = 3 // the sender has come, or is back
	goodbye kind = 4 // the sender leaves
)

func (k kind) String() string {
	names := [...]string{request: "request", answer: "answer", hello: "hello", goodbye: "goodbye"}
	if k == 0 || k >= kind(len(names)) {
		return "kind " + strconv.FormatUint(uint64(k), 10)
	}
	return names[k]
}

// message is all there is on the subject and in the inboxes. The numbers are
// the protocol's: a new field takes a new one, which an older reader passes over.
type message struct {
	Version  uint64 `cbor:"1,keyasint"`
	Kind     kind   `cbor:"2,keyasint"`
	Cluster  string `cbor:"3,keyasint"`
	Instance uint64 `cbor:"4,keyasint"`
	Host     string `cbor:"5,keyasint"`
	Port     uint16 `cbor:"6,keyasint"`
}

var (
	encoder = must(cbor.CoreDetEncOptions().EncMode())
	decoder = must(cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		MaxArrayElements: 64,
		MaxMapPairs:      64,
		MaxNestedLevels:  4,
		TagsMd:           cbor.TagsForbidden,
	}.DecMode())
)

// must serves the two modes above, whose options are constants.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// encode returns m as it travels, or what makes it no message.
func (m message) encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	return encoder.Marshal(m)
}

// decode reads what somebody has sent.
func decode(b []byte) (message, error) {
	if len(b) > maxMessageBytes {
		return message{}, fmt.Errorf("a message of %d bytes: at most %d", len(b), maxMessageBytes)
	}
	var m message
	if err := decoder.Unmarshal(b, &m); err != nil {
		return message{}, err
	}
	return m, m.check()
}

func (m message) check() error {
	switch {
	case m.Version == 0:
		return errors.New("no version")
	case m.Kind == 0:
		return errors.New("no kind")
	case m.Cluster == "" || len(m.Cluster) > maxClusterBytes:
		return fmt.Errorf("a cluster name of %d bytes: from 1 to %d", len(m.Cluster), maxClusterBytes)
	case m.Port == 0:
		return errors.New("no port")
	}
	return checkHost(m.Host)
}

func (m message) addr() string { return net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))) }
