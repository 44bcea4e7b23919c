package auth

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Role is what a proof entitles its holder to.
type Role uint8

const (
	// RoleAny stands for every role: a bare secret, a certificate without a role.
	RoleAny Role = iota
	// RolePeer may replicate: it is a node of the cluster.
	RolePeer
	// RoleAdmin may read and write everything and run the cluster.
	RoleAdmin
	// RoleRW and RoleRO are known by name; no listener of this version takes them.
	RoleRW
	RoleRO
	roleEnd
)

var roleNames = [roleEnd]string{"any", "peer", "admin", "rw", "ro"}

func (r Role) String() string {
	if r >= roleEnd {
		return fmt.Sprintf("role(%d)", uint8(r))
	}
	return roleNames[r]
}

func (r Role) provable() bool { return r == RolePeer || r == RoleAdmin }

// parseRole reads the role of a secret's line or of a certificate's URI:
// "peer", "admin", "rw:prefix,prefix", "ro".
func parseRole(s string) (Role, bool) {
	name, _, _ := strings.Cut(s, ":")
	for r := RolePeer; r < roleEnd; r++ {
		if roleNames[r] == name {
			return r, true
		}
	}
	return 0, false
}

// certificateProves reports whether a verified certificate entitles to role.
// Roles are URI SANs "gokv:peer", "gokv:admin"; a certificate with no gokv:
// URI at all proves every role, one with only unknown ones proves none.
func certificateProves(cert *x509.Certificate, role Role) bool {
	labelled := false
	for _, u := range cert.URIs {
		if u.Scheme != "gokv" {
			continue
		}
		labelled = true
		if r, ok := parseRole(u.Opaque); ok && r == role {
			return true
		}
	}
	return !labelled
}

func roleList(roles []Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = r.String()
	}
	slices.Sort(names)
	return strings.Join(names, " or ")
}
