package kubernetes

import (
	"context"
	"net/http"
)

// maxAsking is how many requests may be on their way to an answer at once.
const maxAsking = 8

// impatient is a RoundTripper that returns when its request's context has ended,
// whatever the one beneath does: client-go runs a kubeconfig's credential plugin in
// the midst of a request and waits for as long as it takes. What is left behind is a
// slot of maxAsking, until the plugin has ended.
type impatient struct {
	beneath http.RoundTripper
	slots   chan struct{}
}

func newImpatient(beneath http.RoundTripper) *impatient {
	return &impatient{beneath: beneath, slots: make(chan struct{}, maxAsking)}
}

// RoundTrip implements http.RoundTripper.
func (i *impatient) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	select {
	case i.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type result struct {
		response *http.Response
		err      error
	}
	done := make(chan result)
	go func() {
		defer func() { <-i.slots }()
		response, err := i.beneath.RoundTrip(request)
		select {
		case done <- result{response, err}:
		case <-ctx.Done():
			if err == nil {
				_ = response.Body.Close() // nobody has read it
			}
		}
	}()
	select {
	case r := <-done:
		return r.response, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
