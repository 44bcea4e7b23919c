package simcluster

import (
	"testing"
)

func TestOne(t *testing.T) {
	for seed := uint64(1); seed < 20; seed++ {
		rep, err := Run(seed, nil)
		t.Log(seed, rep.Events, rep.Virtual, err)
	}
}
