package main

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/tochemey/gokv"
	"github.com/tochemey/gokv/discovery/dns"
	"github.com/tochemey/gokv/discovery/kubernetes"
	"github.com/tochemey/gokv/discovery/nats"
	"github.com/tochemey/gokv/internal/setting"
)

// providers are the discovery providers' settings, and which one is chosen.
type providers struct {
	chosen     choice
	dns        dns.Config
	nats       nats.Config
	kubernetes kubernetes.Config
}

// The choices of --discovery.
const (
	byStatic     = "static"
	byDNS        = "dns"
	byNATS       = "nats"
	byKubernetes = "kubernetes"
)

// table is the providers' part of the one table of settings.
func (p *providers) table() []gokv.Setting {
	p.chosen = choice{byStatic, []string{byStatic, byDNS, byNATS, byKubernetes}}
	p.nats = nats.Config{
		Subject: "gokv.discovery", Timeout: time.Second,
		MaxJoinAttempts: 5, ReconnectWait: 2 * time.Second,
	}
	row := setting.Row
	return setting.Filled([]gokv.Setting{
		row("discovery", "", "`provider` that finds the peers: static (by --join), dns, nats or kubernetes", &p.chosen),
		row("dns-domain", "none", "SRV `name`, or host name whose addresses are taken", setting.Text(&p.dns.DomainName)),
		row("dns-port", "own peer port", "peers' `port`, where no SRV record says it", setting.Int(&p.dns.Port, 1, 65535)),
		row("dns-ipv6", "", "take AAAA records instead of A records", setting.Bool(&p.dns.IPv6)),
		row("dns-server", "the system's", "DNS server to ask, `host:port`", setting.Text(&p.dns.Server)),
		row("nats-server", "none", "`URL,…` of NATS servers", setting.Text(&p.nats.Server)),
		row("nats-subject", "", "`subject` on which nodes find each other", setting.Text(&p.nats.Subject)),
		row("nats-timeout", "", "`time` that answers are collected for", setting.Duration(&p.nats.Timeout)),
		row("nats-max-join-attempts", "", "`number` of attempts at a first connection, after which the node gives up", setting.Int(&p.nats.MaxJoinAttempts, 1, 1000)),
		row("nats-reconnect-wait", "", "`pause` between attempts to connect", setting.Duration(&p.nats.ReconnectWait)),
		row("nats-host", "of the advertised address", "`host` that is told to the others", setting.Text(&p.nats.Host)),
		row("nats-discovery-port", "of the advertised address", "`port` that is told to the others", setting.Int(&p.nats.DiscoveryPort, 1, 65535)),
		row("nats-creds", "none", "`file` with a user's JWT and seed", setting.Text(&p.nats.Credentials)),
		row("nats-nkey", "none", "`file` with an nkey seed", setting.Text(&p.nats.NKey)),
		row("nats-tls-ca", "none", "PEM `file` of the authority that signs the servers", setting.Text(&p.nats.TLSCA)),
		row("nats-tls-cert", "none", "PEM `file` of this client's certificate", setting.Text(&p.nats.TLSCert)),
		row("nats-tls-key", "none", "PEM `file` of this client's key", setting.Text(&p.nats.TLSKey)),
		row("kubernetes-namespace", "the pod's own, or the kubeconfig's", "`namespace` of the peers' pods", setting.Text(&p.kubernetes.Namespace)),
		row("kubernetes-pod-labels", "none", "`a=b,…` labels that the peers' pods have", setting.Labels(&p.kubernetes.PodLabels)),
		row("kubernetes-discovery-port-name", "none", "`name` of the container port for peers", setting.Text(&p.kubernetes.DiscoveryPortName)),
		row("kubernetes-port-name", "none", "`name` of the container port for clients, which the pods are to have too", setting.Text(&p.kubernetes.PortName)),
		row("kubeconfig", "in cluster", "`file` that says how to reach the Kubernetes API from outside", setting.Text(&p.kubernetes.Kubeconfig)),
	})
}

// provide sets cfg's discovery to the chosen provider. Nothing is contacted.
func (p *providers) provide(cfg *gokv.Config) error {
	switch p.chosen.word {
	case byDNS:
		if p.dns.Port == 0 {
			p.dns.Port = peerPort(*cfg)
		}
		provider, err := dns.New(p.dns)
		if err != nil {
			return err
		}
		cfg.Discovery = provider
	case byNATS:
		p.nats.Logger = cfg.Logger
		provider, err := nats.New(p.nats)
		if err != nil {
			return err
		}
		cfg.Discovery = provider
	case byKubernetes:
		provider, err := kubernetes.New(p.kubernetes)
		if err != nil {
			return err
		}
		cfg.Discovery = provider
	}
	if len(cfg.Join) > 0 && cfg.Discovery != nil {
		return fmt.Errorf("join: it is static discovery's, and discovery is %s", p.chosen.word)
	}
	return nil
}

// peerPort is the port of peer-addr, 0 where that is free to choose.
func peerPort(cfg gokv.Config) int {
	_, port, err := net.SplitHostPort(cfg.PeerAddr)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}
