package wire

import "fmt"

// Code says how a request ended.
type Code uint8

// Codes. Package client's table ties each to a sentinel error and an exit status.
const (
	CodeOK              Code = 0
	CodeNotFound        Code = 1
	CodeTooLarge        Code = 2
	CodeOverloaded      Code = 3
	CodeUnauthorized    Code = 4
	CodeNotReady        Code = 5
	CodeTimeout         Code = 6
	CodeInvalid         Code = 7
	CodeConditionFailed Code = 8
	CodeUnavailable     Code = 9
	CodeClock           Code = 10
	CodeInternal        Code = 11
	CodeUnsupported     Code = 12
	CodeFenced          Code = 13
)

var codeNames = [...]string{
	CodeOK:              "ok",
	CodeNotFound:        "not_found",
	CodeTooLarge:        "too_large",
	CodeOverloaded:      "overloaded",
	CodeUnauthorized:    "unauthorized",
	CodeNotReady:        "not_ready",
	CodeTimeout:         "timeout",
	CodeInvalid:         "invalid",
	CodeConditionFailed: "condition_failed",
	CodeUnavailable:     "unavailable",
	CodeClock:           "clock",
	CodeInternal:        "internal",
	CodeUnsupported:     "unsupported",
	CodeFenced:          "fenced",
}

// Codes lists the codes of this version, in the order of their numbers.
func Codes() []Code {
	out := make([]Code, len(codeNames))
	for i := range out {
		out[i] = Code(i)
	}
	return out
}

// Known says whether this version of the protocol has the code.
func (c Code) Known() bool { return int(c) < len(codeNames) }

// String is the code's name as metrics label it.
func (c Code) String() string {
	if c.Known() {
		return codeNames[c]
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}
