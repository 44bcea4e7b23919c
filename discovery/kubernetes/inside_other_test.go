//go:build !linux

package kubernetes

import "testing"

const insideVar = "GOKV_TEST_INSIDE_POD" // a pod is Linux's

func insidePod(*testing.M) int { return 2 }
