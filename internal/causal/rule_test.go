package causal

import (
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for _, b := range []budget{
		{keys: 1, puts: 1, deletes: 1, sessions: 1},
		{keys: 1, puts: 1, deletes: 1, sessions: 1, crashes: 1},
		{keys: 1, puts: 1, deletes: 1, sessions: 1, crashes: 1, giveUps: 1},
		{keys: 1, puts: 2, deletes: 1},
		{keys: 1, puts: 2, deletes: 1, crashes: 1},
		{keys: 1, puts: 1, deletes: 1, crashes: 1},
		{keys: 2, puts: 2, deletes: 1},
	} {
		began := time.Now()
		x := explore(b, 3_000_000)
		t.Logf("%+v: %d states, %d steps, %v", b, x.states, x.longest, time.Since(began))
		if x.wrong != "" {
			t.Fatal(x.wrong)
		}
	}
}
