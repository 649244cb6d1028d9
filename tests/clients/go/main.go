// Drives a Boatyard server with bluemix-go, the library under IBM's Terraform provider, as it is.
//
// Usage: go run . CASE. Exits with 1 and says what failed and where. The server's addresses and the API key are taken from the environment, by the names that the library
// itself reads: IBMCLOUD_CS_API_ENDPOINT, IBMCLOUD_IAM_API_ENDPOINT, IC_API_KEY and, of Go, SSL_CERT_FILE.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	bluemix "github.com/IBM-Cloud/bluemix-go"
	"github.com/IBM-Cloud/bluemix-go/api/container/containerv1"
	"github.com/IBM-Cloud/bluemix-go/api/container/containerv2"
	"github.com/IBM-Cloud/bluemix-go/bmxerror"
	"github.com/IBM-Cloud/bluemix-go/session"
)

// What a test calls, by name.
var cases = map[string]func(*kit){
	"v1-clusters":        v1Clusters,
	"v1-kubeconfig":      v1Kubeconfig,
	"v1-credentials":     v1Credentials,
	"v1-master":          v1Master,
	"v1-workers":         v1Workers,
	"v1-reload":          v1Reload,
	"v1-pools":           v1Pools,
	"v1-zones":           v1Zones,
	"v1-vlans":           v1Vlans,
	"v1-subnets":         v1Subnets,
	"v1-versions":        v1Versions,
	"v1-addons":          v1Addons,
	"v1-api-key":         v1ApiKey,
	"v1-key-owner":       v1KeyOwner,
	"v2-clusters":        v2Clusters,
	"v2-kubeconfig":      v2Kubeconfig,
	"v2-openshift":       v2Openshift,
	"v2-master":          v2Master,
	"v2-workers":         v2Workers,
	"v2-replace-workers": v2ReplaceWorkers,
	"v2-pools":           v2Pools,
	"v2-networks":        v2Networks,
	"v2-dedicated-hosts": v2DedicatedHosts,
}

// A person's access to both versions of the API.
type kit struct {
	v1 containerv1.ContainerServiceAPI
	v2 containerv2.ContainerServiceAPI
	// An empty target: the token's own account decides.
	here  containerv1.ClusterTargetHeader
	here2 containerv2.ClusterTargetHeader
	// A folder of the case's own.
	folder string
}

func main() {
	if len(os.Args) != 2 || cases[os.Args[1]] == nil {
		names := []string{}
		for name := range cases {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "usage: %s CASE, one of %s\n", os.Args[0], strings.Join(names, " "))
		os.Exit(2)
	}
	if err := run(cases[os.Args[1]]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", os.Args[1], err)
		os.Exit(1)
	}
	fmt.Printf("ok: %s\n", os.Args[1])
}

// What is thrown where a case fails.
type failure struct{ error }

func run(body func(*kit)) (err error) {
	folder, err := os.MkdirTemp("", "boatyard-go-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	defer func() {
		switch thrown := recover().(type) {
		case nil:
		case failure:
			err = thrown
		default:
			panic(thrown)
		}
	}()
	// A failure is to be seen at once, not after three tries thirty seconds apart.
	none, pause := 0, time.Second
	open := func() *session.Session {
		return get(session.New(&bluemix.Config{MaxRetries: &none, RetryDelay: &pause}))
	}
	v1 := get(containerv1.New(open()))
	v2 := get(containerv2.New(open()))
	body(&kit{v1: v1, v2: v2, here2: containerv2.ClusterTargetHeader{Provider: "vpc-gen2"}, folder: folder})
	return nil
}

// Ends the case, saying where.
func fail(format string, values ...any) {
	panic(failure{fmt.Errorf("%s\n%s", fmt.Sprintf(format, values...), trail())})
}

// The lines of this program on the way to a failure, innermost first.
func trail() string {
	callers := make([]uintptr, 16)
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers)])
	lines := []string{}
	for frame, more := frames.Next(); more; frame, more = frames.Next() {
		helper := strings.HasSuffix(frame.File, "main.go")
		if strings.HasPrefix(frame.Function, "main.") && !helper {
			lines = append(lines, fmt.Sprintf("  at %s:%d", filepath.Base(frame.File), frame.Line))
		}
	}
	return strings.Join(lines, "\n")
}

func expect(holds bool, format string, values ...any) {
	if !holds {
		fail(format, values...)
	}
}

func equal[T comparable](what string, found, expected T) {
	expect(found == expected, "%s is %v, expected %v", what, found, expected)
}

// Fails if something that had to succeed did not.
func must(what string, err error) {
	expect(err == nil, "%s: %v", what, err)
}

// The result of a call that had to succeed.
func get[T any](value T, err error) T {
	expect(err == nil, "%v", err)
	return value
}

// The one element that fits.
func only[T any](what string, all []T, fits func(T) bool) T {
	found := []T{}
	for _, one := range all {
		if fits(one) {
			found = append(found, one)
		}
	}
	expect(len(found) == 1, "%d of %d entries are %s", len(found), len(all), what)
	return found[0]
}

// Whether an error is a refusal with this status and a text that the Terraform provider looks for.
func refused(what string, err error, status int, text string) {
	expect(err != nil, "%s succeeded, expected a refusal with status %d", what, status)
	var answer bmxerror.RequestFailure
	expect(errors.As(err, &answer), "%s is no answer of the server: %v", what, err)
	expect(answer.StatusCode() == status, "%s: status %d, expected %d: %v", what, answer.StatusCode(), status, err)
	expect(strings.Contains(answer.Description(), text), "%s: %q lacks %q", what, answer.Description(), text)
}
