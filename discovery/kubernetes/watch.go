package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watcher notices that pods' addresses come, change and go.
type watcher struct {
	connection *connection
	selector   string
	reader     reader
	changes    chan<- struct{}

	mu      sync.Mutex
	refused error // why nothing may be watched; nil if it may, or if nobody knows
}

// run watches until ctx has ended, and ends all that it started.
func (w *watcher) run(ctx context.Context) {
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		Logger: &silent,
		ListerWatcher: &cache.ListWatch{
			ListWithContextFunc:  w.list,
			WatchFuncWithContext: w.watch,
		},
		ObjectType: &corev1.Pod{},
		Handler:    w,
		Transform: func(object any) (any, error) {
			if pod, ok := object.(*corev1.Pod); ok {
				return slim(pod), nil
			}
			return object, nil
		},
	})
	controller.RunWithContext(logr.NewContext(ctx, silent))
}

func (w *watcher) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.LabelSelector = w.selector
	return w.connection.pods.List(ctx, options)
}

func (w *watcher) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.LabelSelector = w.selector
	stream, err := w.connection.pods.Watch(ctx, options)
	w.mu.Lock()
	defer w.mu.Unlock()
	if apierrors.IsForbidden(err) {
		w.refused = fmt.Errorf("watch pods in namespace %s: %w", w.connection.namespace, err)
	} else if err == nil {
		w.refused = nil
	}
	return stream, err
}

// mayNot returns why nothing may be watched, if that is so.
func (w *watcher) mayNot() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refused
}

// OnAdd implements cache.ResourceEventHandler.
func (w *watcher) OnAdd(object any, _ bool) { w.compare("", w.address(object)) }

// OnUpdate implements cache.ResourceEventHandler. Most updates are of no interest:
// a pod's status changes often.
func (w *watcher) OnUpdate(before, after any) { w.compare(w.address(before), w.address(after)) }

// OnDelete implements cache.ResourceEventHandler.
func (w *watcher) OnDelete(object any) {
	if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = last.Obj
	}
	w.compare(w.address(object), "")
}

// address is what the pod stands for, but for the time: that a grace period ends is
// no event.
func (w *watcher) address(object any) string {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return ""
	}
	addr, err := w.reader.address(pod, time.Time{})
	if err != nil {
		return addr + err.Error() // an error comes and goes as well
	}
	return addr
}

func (w *watcher) compare(before, after string) {
	if before == after {
		return
	}
	select {
	case w.changes <- struct{}{}:
	default: // one is pending
	}
}
