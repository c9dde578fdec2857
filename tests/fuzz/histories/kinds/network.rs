//! Kinds of the network: unions that exclude one another across fields, and lists that are keyed or whole. Pure.

use serde_json::{Value, json};

use super::{Aspect, Kind, spec};

pub fn kinds() -> Vec<Kind> {
    vec![service(), ingress(), network_policy()]
}

fn service() -> Kind {
    let port = |part: Value| spec(json!({"ports": [part]}));
    let aspects = vec![
        Aspect::new(
            "http",
            "spec/ports[80/TCP] spec/ports[8080/TCP] spec/ports[80/UDP]",
            vec![
                port(json!({"port": 80, "name": "http"})),
                port(json!({"port": 8080, "name": "http"})),
                port(json!({"port": 80, "name": "web"})),
                port(json!({"port": 80, "name": "http", "targetPort": 8080})),
                port(json!({"port": 80, "name": "http", "targetPort": "http"})),
                port(json!({"port": 80, "name": "http", "protocol": "UDP"})),
            ],
        ),
        Aspect::new(
            "https",
            "spec/ports[443/TCP] spec/ports[9000/TCP]",
            vec![
                json!({}),
                port(json!({"port": 443, "name": "https"})),
                port(json!({"port": 9000, "name": "https"})),
                port(json!({"port": 443, "name": "tls", "appProtocol": "https"})),
            ],
        ),
        Aspect::new(
            "type",
            "spec/type spec/externalTrafficPolicy spec/allocateLoadBalancerNodePorts",
            vec![
                json!({}),
                spec(json!({"type": "ClusterIP"})),
                spec(json!({"type": "NodePort"})),
                spec(json!({"type": "LoadBalancer"})),
                spec(json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})),
                spec(json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false})),
            ],
        ),
        Aspect::new(
            "affinity",
            "spec/sessionAffinity spec/sessionAffinityConfig",
            vec![
                json!({}),
                spec(json!({"sessionAffinity": "ClientIP"})),
                spec(
                    json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}),
                ),
                spec(json!({"sessionAffinity": "None"})),
            ],
        ),
        Aspect::new("headless", "spec/clusterIP", vec![json!({}), spec(json!({"clusterIP": "None"}))])
            .fixed(),
        Aspect::new(
            "unready",
            "spec/publishNotReadyAddresses",
            vec![
                json!({}),
                spec(json!({"publishNotReadyAddresses": true})),
                spec(json!({"publishNotReadyAddresses": false})),
            ],
        ),
        Aspect::new(
            "internal",
            "spec/internalTrafficPolicy",
            vec![
                json!({}),
                spec(json!({"internalTrafficPolicy": "Local"})),
                spec(json!({"internalTrafficPolicy": "Cluster"})),
            ],
        ),
        Aspect::new(
            "selector",
            "spec/selector/tier",
            vec![
                json!({}),
                spec(json!({"selector": {"tier": "a"}})),
                spec(json!({"selector": {"tier": "b"}})),
            ],
        ),
        Aspect::new(
            "external",
            "spec/externalIPs",
            vec![
                json!({}),
                spec(json!({"externalIPs": ["192.0.2.1"]})),
                spec(json!({"externalIPs": ["192.0.2.2", "192.0.2.1"]})),
            ],
        ),
    ];
    Kind::new(
        "service",
        "services",
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"selector": {"app": "web"}}}),
        aspects,
    )
}

fn ingress() -> Kind {
    let backend = |service: Value| spec(json!({"defaultBackend": {"service": service}}));
    let rule = |host: &str, port: Value| {
        json!({"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix",
            "backend": {"service": {"name": "web", "port": port}}}]}})
    };
    let aspects = vec![
        Aspect::new(
            "backend",
            "spec/defaultBackend",
            vec![
                backend(json!({"name": "web", "port": {"number": 80}})),
                backend(json!({"name": "web", "port": {"name": "http"}})),
                backend(json!({"name": "other", "port": {"number": 80}})),
                spec(
                    json!({"defaultBackend": {"resource": {"apiGroup": "example.com", "kind": "Bucket", "name": "b"}}}),
                ),
            ],
        ),
        Aspect::new(
            "rules",
            "spec/rules",
            vec![
                json!({}),
                spec(json!({"rules": [rule("a.example.com", json!({"number": 80}))]})),
                spec(json!({"rules": [rule("a.example.com", json!({"name": "http"}))]})),
                spec(
                    json!({"rules": [rule("a.example.com", json!({"number": 80})), rule("b.example.com", json!({"number": 81}))]}),
                ),
            ],
        ),
        Aspect::new(
            "tls",
            "spec/tls",
            vec![
                json!({}),
                spec(json!({"tls": [{"hosts": ["a.example.com"], "secretName": "t"}]})),
                spec(json!({"tls": [{"hosts": ["a.example.com", "b.example.com"]}]})),
            ],
        ),
        Aspect::new(
            "class",
            "spec/ingressClassName",
            vec![
                json!({}),
                spec(json!({"ingressClassName": "nginx"})),
                spec(json!({"ingressClassName": "other"})),
            ],
        ),
    ];
    Kind::new(
        "ingress",
        "ingresses",
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress"}),
        aspects,
    )
}

fn network_policy() -> Kind {
    let aspects = vec![
        Aspect::new(
            "ingress",
            "spec/ingress",
            vec![
                json!({}),
                spec(json!({"ingress": [{}]})),
                spec(json!({"ingress": []})),
                spec(
                    json!({"ingress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"port": 80}]}]}),
                ),
                spec(
                    json!({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}], "ports": [{"port": "http", "protocol": "TCP"}]}]}),
                ),
            ],
        ),
        Aspect::new(
            "egress",
            "spec/egress",
            vec![
                json!({}),
                spec(json!({"egress": [{}]})),
                spec(
                    json!({"egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 100, "endPort": 200}]}]}),
                ),
            ],
        ),
        Aspect::new(
            "types",
            "spec/policyTypes",
            vec![
                json!({}),
                spec(json!({"policyTypes": ["Ingress"]})),
                spec(json!({"policyTypes": ["Ingress", "Egress"]})),
            ],
        ),
        Aspect::new(
            "pods",
            "spec/podSelector",
            vec![
                spec(json!({"podSelector": {"matchLabels": {"app": "web"}}})),
                spec(json!({"podSelector": {}})),
                spec(json!({"podSelector": {"matchLabels": {"app": "web", "tier": "a"}}})),
                spec(json!({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}})),
            ],
        ),
    ];
    Kind::new(
        "networkpolicy",
        "networkpolicies",
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}),
        aspects,
    )
}
