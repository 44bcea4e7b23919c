package gokv

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tochemey/gokv/client/wire"
	"github.com/tochemey/gokv/internal/replica"
	"github.com/tochemey/gokv/membership"
)

// forget says here and at every other live member that the named one will not
// return: purging waits for it no longer. Members that are not live now need not
// be told: they wait for nobody, or for no longer than the grace. It reports who
// was told, this node first.
func (n *Node) forget(ctx context.Context, name string) ([]wire.ForgottenInfo, error) {
	row, known := n.memberNamed(name)
	if live := isLive(row); live || !known && len(n.waitedFor(name)) == 0 {
		return nil, n.unforgettable(name, row, live)
	}
	n.forgetHere(name, row.Instance)
	out := []wire.ForgottenInfo{{Member: n.name}}
	var others []membership.Member
	for _, m := range n.memberList() {
		if m.Instance != n.self && isLive(m) {
			others = append(others, m)
			out = append(out, wire.ForgottenInfo{Member: m.Name})
		}
	}
	word := replica.ForgetFrame{Instance: row.Instance, Name: name}.AppendTo(nil)
	n.inquireAll(ctx, others, streamForget, word, func(i int, answer []byte, err error) {
		var f replica.ForgotFrame
		if err == nil {
			f, err = replica.ParseForgot(answer)
		}
		if err != nil {
			f.Reason = err.Error()
		}
		out[1+i].Error = f.Reason
	})
	return out, nil
}

// unforgettable says why a name cannot be forgotten, and which can.
func (n *Node) unforgettable(name string, row membership.Member, live bool) error {
	if live {
		return refusal{wire.CodeConditionFailed, stillLive(row)}
	}
	var members []string
	for _, m := range n.memberList() {
		members = append(members, fmt.Sprintf("%s (%v)", m.Name, m.State))
	}
	return refusal{wire.CodeInvalid, fmt.Sprintf("there is no member %q; there are %s", name, strings.Join(members, ", "))}
}

func stillLive(m membership.Member) string {
	return fmt.Sprintf("%s is %v: a member that is dead or has left can be forgotten", m.Name, m.State)
}

// answerForget takes a peer's word, unless this node knows better.
func (n *Node) answerForget(word []byte) ([]byte, error) {
	f, err := replica.ParseForget(word)
	if err != nil {
		n.badMessage("inquiry", "", err)
		return nil, err
	}
	if row, _ := n.memberNamed(f.Name); isLive(row) {
		return replica.ForgotFrame{Reason: stillLive(row)}.AppendTo(nil), nil
	}
	n.forgetHere(f.Name, f.Instance)
	return replica.ForgotFrame{}.AppendTo(nil), nil
}

// forgetHere ends the waiting for every instance that bears or bore the name.
func (n *Node) forgetHere(name string, instance uint64) {
	for _, id := range append(n.waitedFor(name), instance) {
		if n.replication.horizon.Forget(id) {
			n.log.Info("member forgotten: purging waits for it no longer", "name", name, "instance", hexID(id))
		}
	}
}

// waitedFor lists the instances of a name that count when dead entries are to go, or
// may return.
func (n *Node) waitedFor(name string) (ids []uint64) {
	for _, h := range n.replication.horizon.HeldUp() {
		if n.nameOf(h.Instance) == name {
			ids = append(ids, h.Instance)
		}
	}
	ids = append(ids, n.replication.horizon.MayReturn(name)...)
	slices.Sort(ids)
	return slices.Compact(ids)
}

func (n *Node) memberNamed(name string) (membership.Member, bool) {
	for _, m := range n.memberList() {
		if m.Name == name {
			return m, true
		}
	}
	return membership.Member{}, false
}

func isLive(m membership.Member) bool {
	return m.State == membership.Alive || m.State == membership.Suspect
}
