package gokv

import "runtime/debug"

// version is set by the release build with
// -ldflags "-X github.com/tochemey/gokv.version=v1.2.3".
var version = ""

// Version is the version of gokv that is linked into the program: the release
// it was built from, or "devel".
func Version() string {
	if version != "" {
		return version
	}
	const module = "github.com/tochemey/gokv"
	if info, ok := debug.ReadBuildInfo(); ok {
		mods := append(info.Deps, &info.Main)
		for _, m := range mods {
			if m.Path == module && m.Version != "" && m.Version != "(devel)" {
				return m.Version
			}
		}
	}
	return "devel"
}
