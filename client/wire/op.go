package wire

import "fmt"

// Op is an operation: the kind of a request's frame.
type Op uint8

// Operations. Watch has its number and no meaning yet.
const (
	OpGet     Op = 1
	OpPut     Op = 2
	OpExists  Op = 3
	OpDelete  Op = 4
	OpTouch   Op = 5
	OpPersist Op = 6
	OpList    Op = 7
	OpMembers Op = 8
	OpStatus  Op = 9
	OpSync    Op = 10
	OpPing    Op = 11
	OpWatch   Op = 12
	OpBatch   Op = 13
	OpHeld    Op = 32
	OpWhy     Op = 33
	OpForget  Op = 34
)

// Kinds of frames that are not requests.
const (
	// KindCancel, from the client, says that nobody waits for the request with
	// this frame's ID any more. Its body is empty. It is not answered; the
	// request itself still is.
	KindCancel = 0x7f
	// KindResponse, from the node, is the one answer to a request.
	KindResponse = 0x80
)

// opSpec says what a request of an operation may hold.
type opSpec struct {
	name  string
	key   bool // takes a key (a prefix, for List)
	value bool // ends with a value
	items bool // ends with items
	flags uint16
}

// ops is indexed by Op; an entry without a name is not known to this version.
var ops = [...]opSpec{
	OpGet:     {name: "get", key: true},
	OpPut:     {name: "put", key: true, value: true, flags: reqTTL | reqExpiresAt | reqKeepTTL | reqIfAbsent | reqIfVersion | reqConcern},
	OpExists:  {name: "exists", key: true},
	OpDelete:  {name: "delete", key: true, flags: reqIfAbsent | reqIfVersion | reqConcern},
	OpTouch:   {name: "touch", key: true, flags: reqTTL | reqExpiresAt},
	OpPersist: {name: "persist", key: true},
	OpList:    {name: "list", key: true, flags: reqKeysOnly | reqLimit | reqAfter},
	OpMembers: {name: "members"},
	OpStatus:  {name: "status"},
	OpSync:    {name: "sync"},
	OpPing:    {name: "ping"},
	OpBatch:   {name: "batch", items: true},
	OpHeld:    {name: "held", key: true},
	OpWhy:     {name: "why", key: true},
	OpForget:  {name: "forget", key: true}, // a member's name
}

// Ops lists the operations of this version, in the order of their numbers.
func Ops() []Op {
	out := make([]Op, 0, len(ops))
	for op := range ops {
		if ops[op].name != "" {
			out = append(out, Op(op))
		}
	}
	return out
}

func (o Op) spec() (opSpec, bool) {
	if int(o) >= len(ops) || ops[o].name == "" {
		return opSpec{}, false
	}
	return ops[o], true
}

// Known says whether this version of the protocol has the operation.
func (o Op) Known() bool { _, ok := o.spec(); return ok }

// Writes says whether the operation changes what the store holds.
func (o Op) Writes() bool {
	switch o {
	case OpPut, OpDelete, OpTouch, OpPersist, OpBatch:
		return true
	}
	return false
}

// String is the operation's name as commands, metrics and errors print it.
func (o Op) String() string {
	if s, ok := o.spec(); ok {
		return s.name
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}
