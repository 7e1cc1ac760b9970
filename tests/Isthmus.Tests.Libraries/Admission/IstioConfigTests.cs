using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Libraries.Admission;

public sealed class IstioConfigTests
{
    [Theory]
    [InlineData("Gateway", "servers: []", "spec.servers", "gateway must have at least one server")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {request: {remove: [content-length]}}}]",
        "spec.http[0].headers.request.remove[0]", "header \"content-length\" cannot be changed")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {request: {set: {Transfer-Encoding: x}}}}]",
        "spec.http[0].headers.request.set[Transfer-Encoding]", "header \"Transfer-Encoding\" cannot be changed")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {response: {add: {te: x}}}}]",
        "spec.http[0].headers.response.add[te]", "header \"te\" cannot be changed")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {request: {remove: [Host]}}}]",
        "spec.http[0].headers.request.remove[0]", "invalid header \"Host\"")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {request: {add: {host: b}}}}]",
        "spec.http[0].headers.request.add[host]", "\"host\" cannot be added")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], headers: {request: {set: {':path': /}}}}]",
        "spec.http[0].headers.request.set[:path]", "invalid header \":path\"")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], rewrite: {authority: 'a b'}}]",
        "spec.http[0].rewrite.authority", "\"a b\" is not a host")]
    [InlineData("VirtualService", "hosts: [a.example]\nhttp: [{route: [{destination: {host: a.example}}], rewrite: {uri: ' '}}]", "spec.http[0].rewrite.uri",
        "\" \" contains spaces or control characters")]
    [InlineData("Gateway", "servers: [{port: {number: 80, name: a, protocol: FOO}, hosts: ['*']}]", "spec.servers[0].port.protocol",
        "invalid protocol \"FOO\"")]
    [InlineData("Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*']}]", "spec.servers[0].tls",
        "server must have TLS settings for HTTPS/TLS protocols")]
    [InlineData("Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE}}]", "spec.servers[0].tls.privateKey",
        "SIMPLE TLS requires a private key")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, verifyCertificateHash: ['ab:cd']}}]",
        "spec.servers[0].tls.verifyCertificateHash[0]", "\"ab:cd\" is not a SHA-256 hash in hexadecimal")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, verifyCertificateSpki: [abcd]}}]",
        "spec.servers[0].tls.verifyCertificateSpki[0]", "\"abcd\" is not a SHA-256 hash in Base64")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: a, verifyCertificateSpki: "
            + "['47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=']}}]",
        "spec.servers[0].tls.verifyCertificateSpki", "SIMPLE TLS does not ask clients for certificates")]
    [InlineData("Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, caCrl: /crl.pem}}]",
        "spec.servers[0].tls.caCrl", "certificate revocation lists are not supported: \"/crl.pem\"")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, minProtocolVersion: TLSV1_0}}]",
        "spec.servers[0].tls.minProtocolVersion", "TLSV1_0 is not supported: the oldest version that proxies speak is TLS 1.2")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, maxProtocolVersion: TLSV1_1}}]",
        "spec.servers[0].tls.maxProtocolVersion", "TLSV1_1 is not supported")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, minProtocolVersion: TLSV1_3, "
            + "maxProtocolVersion: TLSV1_2}}]",
        "spec.servers[0].tls.maxProtocolVersion", "TLSV1_2 is below minProtocolVersion")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, cipherSuites: [AES128-SHA, "
            + "DES-CBC3-SHA]}}]",
        "spec.servers[0].tls.cipherSuites[1]", "\"DES-CBC3-SHA\" is not a cipher suite that proxies offer")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, cipherSuites: "
            + "[TLS_AES_128_GCM_SHA256]}}]",
        "spec.servers[0].tls.cipherSuites[0]", "\"TLS_AES_128_GCM_SHA256\" is not a cipher suite that proxies offer")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, credentialNames: [b, c]}}]",
        "spec.servers[0].tls.credentialNames", "only one of credentialName, credentialNames")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, caCertificates: /ca, tlsCertificates: "
            + "[{serverCertificate: /a, privateKey: /a}, {serverCertificate: /b}]}}]",
        "spec.servers[0].tls.tlsCertificates[1].privateKey", "MUTUAL TLS requires a private key")]
    [InlineData("Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialNames: [b, '']}}]",
        "spec.servers[0].tls.credentialNames[1]", "must not be empty")]
    [InlineData("Gateway",
        "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: a, caCertCredentialName: ca}}]",
        "spec.servers[0].tls.caCertCredentialName", "a Secret of its own for the CA is not supported")]
    [InlineData("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}}]", "spec.servers[0].hosts", "server config must contain at least one host")]
    [InlineData("Gateway", "servers: [{port: {number: x, name: a, protocol: HTTP}, hosts: ['*']}]", "spec.servers[0].port.number",
        "must be an integer, not a string")]
    [InlineData("VirtualService", "hosts: [a]", "spec", "http, tcp or tls must be provided in virtual service")]
    [InlineData("VirtualService", "hosts: ['*']\nhttp: [{route: [{destination: {host: a}}]}]", "spec.hosts[0]",
        "wildcard host * is not allowed for virtual services bound to the mesh gateway")]
    [InlineData("VirtualService", "hosts: ['foo_bar!']\nhttp: [{route: [{destination: {host: a}}]}]", "spec.hosts[0]",
        "domain name \"foo_bar!\" invalid (label \"foo_bar!\" invalid)")]
    [InlineData("VirtualService", "http: [{delegate: {name: b}}]", "spec.http[0].delegate", "delegate HTTP route cannot contain delegate")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{redirect: {uri: /}, route: [{destination: {host: a}}]}]", "spec.http[0].redirect",
        "HTTP route cannot contain both route and redirect")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], timeout: 0.5ms}]", "spec.http[0].timeout",
        "duration must be greater than 1ms")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], retries: {attempts: -1}}]", "spec.http[0].retries.attempts",
        "attempts cannot be negative")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], match: [{headers: {x: {regex: '[a'}}}]}]",
        "spec.http[0].match[0].headers[x].regex", "\"headers\": error parsing regexp")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], match: [{headers: {x: {regex: '(a{1000}){1000}'}}}]}]",
        "spec.http[0].match[0].headers[x].regex", "\"headers\": error parsing regexp")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], match: [{headers: {x: {regex: '(a+)+\\1'}}}]}]",
        "spec.http[0].match[0].headers[x].regex", "\"headers\": error parsing regexp")]
    [InlineData("VirtualService", "hosts: [a.com]\ntls: [{match: [{sniHosts: [b.com]}], route: [{destination: {host: a}}]}]",
        "spec.tls[0].match[0].sniHosts[0]", "SNI host \"b.com\" is not a compatible subset")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], rewrite: {uri: /, uriRegexRewrite: {match: a, rewrite: b}}}]",
        "spec.http[0].rewrite", "rewrite may only contain one of URI rewrite or URIRegexRewrite")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], rewrite: {uriRegexRewrite: {match: a}}}]",
        "spec.http[0].rewrite.uriRegexRewrite", "UriRegexRewrite requires both Rewrite and Match fields to be specified")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], rewrite: {uriRegexRewrite: {match: '[a', rewrite: b}}}]",
        "spec.http[0].rewrite.uriRegexRewrite.match", "\"uriRegexRewrite\": error parsing regexp")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{redirect: {port: 1, derivePort: FROM_REQUEST_PORT}}]", "spec.http[0].redirect.derivePort",
        "only one of port and derivePort may be set")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{redirect: {uri: /a, prefixRewrite: /b}}]", "spec.http[0].redirect.prefixRewrite",
        "redirect may only specify one of uri or prefixRewrite")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}}]", "spec.http[0].redirect.prefixRewrite",
        "redirect prefixRewrite requires all URI matches to use prefix match type")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {connectionPool: {http: {http2KeepAlive: {timeout: 5s}}}}",
        "spec.trafficPolicy.connectionPool.http.http2KeepAlive.interval", "http2 keepalive interval is required")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {connectionPool: {http: {http2KeepAlive: {interval: 5s}}}}",
        "spec.trafficPolicy.connectionPool.http.http2KeepAlive.timeout", "http2 keepalive timeout is required")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {connectionPool: {http: {http2KeepAlive: {interval: 0.1ms, timeout: 1s}}}}",
        "spec.trafficPolicy.connectionPool.http.http2KeepAlive.interval", "duration must be greater than 1ms")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {localityLbSetting: {enabled: true}, zoneAwareLbSetting: {enabled: true}}}",
        "spec.trafficPolicy.loadBalancer", "only one of localityLbSetting and zoneAwareLbSetting can be set")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {zoneAwareLbSetting: {failoverPriority: [topology.kubernetes.io/zone]}}}",
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failoverPriority[0]", "zone aware lb must not use topology label \"topology.kubernetes.io/zone\"")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {zoneAwareLbSetting: {failover: [{from: r1, to: '*'}]}}}",
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[0].to", "zone aware lb failover region should not contain '*' wildcard")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {zoneAwareLbSetting: {failover: [{from: r1, to: r2/z1}]}}}",
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.failover[0]", "locality lb failover only specify region")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {zoneAwareLbSetting: {minClusterSize: 0}}}",
        "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting.minClusterSize", "minClusterSize must be at least 1")]
    [InlineData("Sidecar", "egress: [{hosts: ['~A_b/*']}]", "spec.egress[0].hosts[0]", "invalid namespace \"~A_b\"")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], fault: {abort: {grpcStatus: NOPE}}}]",
        "spec.http[0].fault.abort.grpcStatus", "gRPC status \"NOPE\" is not supported")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], fault: {abort: {grpcStatus: OK, httpStatus: 200}}}]",
        "spec.http[0].fault.abort", "only one of httpStatus and grpcStatus may be set")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], fault: {abort: {http2Error: REFUSED_STREAM}}}]",
        "spec.http[0].fault.abort.http2Error", "resets of HTTP/2 streams are not supported")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{route: [{destination: {host: a}}], fault: {delay: {exponentialDelay: 1s}}}]",
        "spec.http[0].fault.delay.exponentialDelay", "exponential delays are not supported")]
    [InlineData("VirtualService", "hosts: [a]\ntcp: [{match: [{sourceSubnet: 10.0.0.0/8}], route: [{destination: {host: a}}]}]",
        "spec.tcp[0].match[0].sourceSubnet", "matches by the client's address are not supported")]
    [InlineData("DestinationRule", "trafficPolicy: {}", "spec.host", "empty domain name not allowed")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tls: {mode: MUTUAL}}", "spec.trafficPolicy.tls.clientCertificate",
        "client certificate required for mutual tls")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tls: {mode: SIMPLE, caCrl: /crl.pem}}", "spec.trafficPolicy.tls.caCrl",
        "certificate revocation lists are not supported")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tls: {mode: SIMPLE, credentialName: a, caCertificates: /ca.pem}}",
        "spec.trafficPolicy.tls.credentialName", "cannot specify client certificates or CA certificate if credentialName is set")]
    [InlineData("DestinationRule", "host: a\nsubsets: [{name: V_1!}]", "spec.subsets[0].name", "subset name is invalid: V_1!")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {connectionPool: {}}", "spec.trafficPolicy.connectionPool",
        "connection pool must have at least one field")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, httpHeaderName: x}}}",
        "spec.trafficPolicy.loadBalancer.consistentHash", "only one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName may be set")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {localityLbSetting: {distribute: [{from: r1, to: {r1: 90}}]}}}",
        "spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[0].to", "total locality weight 90 != 100")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1000}}}}",
        "spec.trafficPolicy.loadBalancer.consistentHash.maglev.tableSize", "table size 1000 is not a prime number of at most 5000011")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 8388609}}}}",
        "spec.trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize", "ring size 8388609 is not in range 0..8388608")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, ttl: 1s, attributes: [{name: 'a;b'}]}}}}",
        "spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.attributes[0].name", "\"a;b\" is not a valid name of a cookie's attribute")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1s, aggression: 0.5}}}",
        "spec.trafficPolicy.loadBalancer.warmup.aggression", "aggression must be at least 1")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1s, minimumPercent: 101}}}",
        "spec.trafficPolicy.loadBalancer.warmup.minimumPercent", "percentage 101 is not in range 0..100")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {retryBudget: {percent: 101}}", "spec.trafficPolicy.retryBudget.percent",
        "percentage 101 is not in range 0..100")]
    [InlineData("ServiceEntry", "ports: [{number: 80, name: http, protocol: HTTP}]", "spec.hosts", "service entry must have at least one host")]
    [InlineData("ServiceEntry", "hosts: ['*']", "spec.hosts[0]", "invalid host *")]
    [InlineData("ServiceEntry", "hosts: [a.com]\naddresses: [1.2.3]", "spec.addresses[0]", "1.2.3 is not a valid IP")]
    [InlineData("ServiceEntry",
        "hosts: [a.com]\nresolution: STATIC\nports: [{number: 80, name: http, protocol: HTTP}]\nendpoints: [{address: 1.1.1.1, ports: {nope: 70000}}]",
        "spec.endpoints[0].ports[nope]", "endpoint port 70000 is not defined by the service entry")]
    [InlineData("ServiceEntry", "hosts: [a.com]\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: http, protocol: HTTP}]", "spec.hosts[0]",
        "DYNAMIC_DNS needs a wildcard host, not a.com")]
    [InlineData("ServiceEntry", "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: tcp, protocol: TCP}]", "spec.ports[0].protocol",
        "DYNAMIC_DNS needs a protocol that names the host: HTTP, HTTP2, GRPC, TLS or HTTPS")]
    [InlineData("ServiceEntry", "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: http, protocol: HTTP, targetPort: 81}]",
        "spec.ports[0].targetPort", "targetPort has no effect with resolution DYNAMIC_DNS")]
    [InlineData("ServiceEntry",
        "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: http, protocol: HTTP}]\nendpoints: [{address: 1.1.1.1}]", "spec.endpoints",
        "endpoints cannot be used with resolution DYNAMIC_DNS")]
    [InlineData("ServiceEntry", "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: http, protocol: HTTP}]\naddresses: [192.0.2.1]",
        "spec.addresses", "addresses cannot be used with resolution DYNAMIC_DNS")]
    [InlineData("ServiceEntry",
        "hosts: ['*.a.com']\nresolution: DYNAMIC_DNS\nports: [{number: 80, name: http, protocol: HTTP}]\nworkloadSelector: {labels: {a: b}}",
        "spec.workloadSelector", "workloadSelector cannot be used with resolution DYNAMIC_DNS")]
    [InlineData("WorkloadEntry", "labels: {a: b}", "spec.address", "address must be set")]
    [InlineData("PeerAuthentication", "selector: {matchLabels: {a: b}}\nportLevelMtls: {}", "spec.portLevelMtls", "should have at least 1 properties")]
    [InlineData("ProxyConfig", "selector: {matchLabels: {'': b}}", "spec.selector.matchLabels[]", "key must not be empty")]
    [InlineData("ProxyConfig", "concurrency: -2", "spec.concurrency", "-2 is less than 0")]
    [InlineData("ServiceEntry", "hosts: [a.com]\nworkloadSelector: {labels: {app: 'w*'}}", "spec.workloadSelector.labels[app]",
        "wildcard is not supported in selector")]
    [InlineData("ServiceEntry", "hosts: [a.com]\nports: [{number: 80, name: http, protocol: HTTP, targetPort: 70000}]", "spec.ports[0].targetPort",
        "port number 70000 must be in the range 1..65535")]
    [InlineData("ServiceEntry",
        "hosts: [a.com]\nresolution: DNS_ROUND_ROBIN\nports: [{number: 80, name: http, protocol: HTTP}]\nendpoints: [{address: b.com}, {address: c.com}]",
        "spec.endpoints", "there must only be 0 or 1 endpoint")]
    [InlineData("WorkloadEntry", "address: 'unix:///run/'", "spec.address", "unix domain socket \"/run/\" is not a valid path: it is a directory")]
    [InlineData("WorkloadEntry", "address: 192.0.2.1\nports: {'a b': 80}", "spec.ports[a b]", "\"a b\" is not the name of a port")]
    [InlineData("WorkloadGroup", "template: {}\nprobe: {httpGet: {port: 80}, exec: {command: [x]}}", "spec.probe", "only one of httpGet and exec may be set")]
    [InlineData("WorkloadGroup", "template: {}\nprobe: {httpGet: {port: 70000}}", "spec.probe.httpGet.port", "port must be between 1-65535")]
    [InlineData("WorkloadGroup", "template: {}\nprobe: {tcpSocket: {}}", "spec.probe.tcpSocket.port", "port must be between 1-65535")]
    [InlineData("WorkloadGroup", "template: {}\nprobe: {httpGet: {port: 80, scheme: FTP}}", "spec.probe.httpGet.scheme", "scheme must be one of [HTTP, HTTPS]")]
    [InlineData("WorkloadGroup", "template: {}\nprobe: {exec: {command: []}}", "spec.probe.exec.command", "must not be empty")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', audiences: ['']}]", "spec.jwtRules[0].audiences[0]", "must not be empty")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', fromParams: ['']}]", "spec.jwtRules[0].fromParams[0]",
        "must not be empty")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', fromCookies: ['']}]", "spec.jwtRules[0].fromCookies[0]",
        "must not be empty")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', outputClaimToHeaders: [{header: Content-Length, claim: c}]}]",
        "spec.jwtRules[0].outputClaimToHeaders[0].header",
        "header \"Content-Length\" cannot be changed: it says where a message ends, or belongs to one connection")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', outputPayloadToHeader: host}]", "spec.jwtRules[0].outputPayloadToHeader",
        "invalid header \"host\": the host cannot be changed here")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: 'a;b', ttl: 0s} } } }",
        "spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.name", "\"a;b\" is not the name of a cookie")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: a, path: '/;HttpOnly', ttl: 0s} } } }",
        "spec.trafficPolicy.loadBalancer.consistentHash.httpCookie.path", "\"/;HttpOnly\" is not the path of a cookie")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', outputClaimToHeaders: [{header: 'x:y', claim: c}]}]",
        "spec.jwtRules[0].outputClaimToHeaders[0].header", "\"x:y\" is not the name of a header")]
    [InlineData("Sidecar", "{}", "spec", "sidecar: empty configuration provided")]
    [InlineData("Sidecar", "egress: [{hosts: [a.com]}]", "spec.egress[0].hosts[0]", "host must be of form namespace/dnsName")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: NOPE, patch: {operation: MERGE, value: {}}}]", "spec.configPatches[0].applyTo",
        "unsupported value \"NOPE\"")]
    [InlineData("EnvoyFilter", "configPatches: [{patch: {operation: MERGE, value: {}}}]", "spec.configPatches[0].applyTo",
        "must say what the patch is applied to")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {context: SIDECAR}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.context", "unsupported value \"SIDECAR\"")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: REMOVED}}]", "spec.configPatches[0].patch.operation",
        "unsupported value \"REMOVED\"")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_FILTER}]", "spec.configPatches[0].patch.operation", "must say what the patch does")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: MERGE}}]", "spec.configPatches[0].patch.value", "is missing")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {request_headers_to_remove: [content-length]}}}]",
        "spec.configPatches[0].patch.value.request_headers_to_remove[0]", "header \"content-length\" cannot be changed")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {request_headers_to_remove: [Host]}}}]",
        "spec.configPatches[0].patch.value.request_headers_to_remove[0]", ":-prefixed or host headers may not be removed")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {response_headers_to_remove: ['a b']}}}]",
        "spec.configPatches[0].patch.value.response_headers_to_remove[0]", "\"a b\" is not the name of a header")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: Host, value: a}}]}}}]",
        "spec.configPatches[0].patch.value.request_headers_to_add[0].header.key", ":-prefixed or host headers may not be modified")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {request_headers_to_add: [{header: {key: transfer-encoding, value: a}}]}}}]",
        "spec.configPatches[0].patch.value.request_headers_to_add[0].header.key", "header \"transfer-encoding\" cannot be changed")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {host_rewrite_literal: 'a b'}}}}]",
        "spec.configPatches[0].patch.value.route.host_rewrite_literal", "\"a b\" is not a host")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {prefix_rewrite: ' '}}}}]",
        "spec.configPatches[0].patch.value.route.prefix_rewrite", "\" \" contains spaces or control characters")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {redirect: {path_redirect: '/a b'}}}}]",
        "spec.configPatches[0].patch.value.redirect.path_redirect", "\"/a b\" contains spaces or control characters")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {redirect: {host_redirect: 'a b'}}}}]",
        "spec.configPatches[0].patch.value.redirect.host_redirect", "\"a b\" is not a host")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {}}}]", "spec.configPatches[0].patch.value",
        "must be an object: a part of envoy.config.bootstrap.v3.Bootstrap")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: ADD, value: {header_prefix: x}}}]",
        "spec.configPatches[0].patch.operation", "ADD has no effect on BOOTSTRAP")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, match: {cluster: {name: a}}, patch: {operation: MERGE, value: {header_prefix: x}}}]",
        "spec.configPatches[0].match.cluster", "says nothing about what BOOTSTRAP applies to")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {stats_sink: []}}}]",
        "spec.configPatches[0].patch.value.stats_sink", "envoy.config.bootstrap.v3.Bootstrap has no \"stats_sink\"")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {statsSinks: [], stats_sinks: []}}}]",
        "spec.configPatches[0].patch.value.stats_sinks", "is stats_sinks once more")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {node: {id: x}}}}]",
        "spec.configPatches[0].patch.value.node", "is the agent's")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {dynamicResources: {}}}}]",
        "spec.configPatches[0].patch.value.dynamicResources", "is the agent's")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {admin: {address: {}}}}}]",
        "spec.configPatches[0].patch.value.admin.address", "is the agent's")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: BOOTSTRAP, patch: {operation: MERGE, value: {staticResources: {clusters: [{name: xds-grpc}]}}}}]",
        "spec.configPatches[0].patch.value.staticResources.clusters[0].name", "xds-grpc is the agent's")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: EXTENSION_CONFIG, patch: {operation: REMOVE}}]", "spec.configPatches[0].patch.operation",
        "REMOVE has no effect on EXTENSION_CONFIG")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: EXTENSION_CONFIG, match: {listener: {name: a}}, patch: {operation: ADD, value: {name: a}}}]",
        "spec.configPatches[0].match.listener", "says nothing about what EXTENSION_CONFIG applies to")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {name: a}}}]",
        "spec.configPatches[0].patch.value.typed_config", "is missing: it is what filters discover")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {typed_config: {'@type': t/a.Lua}}}}]",
        "spec.configPatches[0].patch.value.name", "is missing: filters find the configuration by its name")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: EXTENSION_CONFIG, patch: {operation: ADD, value: {name: extensions.istio.io/wasmplugin/a.b, typed_config: "
            + "{'@type': t/a.Lua}}}}]",
        "spec.configPatches[0].patch.value.name", "begins with extensions.istio.io/wasmplugin/, as the configuration of WasmPlugins does")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.config_source", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_urls", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: "
            + "{path_config_source: {path: /a}}, type_urls: [t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.config_source.path_config_source", "cannot be the source")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: "
            + "{adz: {}}, type_urls: [t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.config_source.ads", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: [type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_urls[0]", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy cannot be in")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_url: [t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_url", "envoy.config.core.v3.ExtensionConfigSource has no \"type_url\"")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': t/a.Lua}, config_discovery: "
            + "{config_source: {ads: {}}, type_urls: [t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery", "is beside typed_config")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: MERGE, value: {config_discovery: {config_source: {ads: {}}, type_urls: [t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery", "cannot be merged into a filter")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: null, type_urls: "
            + "[t/a.Lua]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.config_source", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: []}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_urls", "is missing: it lists the types")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: null}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_urls", "is missing: it lists the types")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: [null]}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.type_urls[0]", "is missing: typed configuration says its type")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: [t/a.Lua], apply_default_config_without_warming: true}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.apply_default_config_without_warming", "needs default_config")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, config_discovery: {config_source: {ads: {}}, "
            + "type_urls: [t/a.Lua], default_config: {'@type': t/a.Rbac}}}}}]",
        "spec.configPatches[0].patch.value.config_discovery.default_config", "a.Rbac is none of type_urls")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: VIRTUAL_HOST, patch: {operation: MERGE, value: {domains: [null]}}}]",
        "spec.configPatches[0].patch.value.domains[0]", "must not be null")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {context: WAYPOINT}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.context", "there are no waypoints")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, match: {waypoint: {portNumber: 80}}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.waypoint", "there are no waypoints")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: LISTENER, match: {listener: {portName: http}}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.listener.portName", "Istio does not match listeners by it")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: LISTENER, match: {listener: {port: 80}}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.listener.port", "unknown field \"port\"")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: LISTENER, match: {cluster: {name: a}}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.cluster", "says nothing about what LISTENER applies to")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: LISTENER, match: {proxy: {proxyVersion: '('}}, patch: {operation: REMOVE}}]",
        "spec.configPatches[0].match.proxy.proxyVersion", "\"(\" is not a usable regular expression")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: INSERT_FIRST, value: {name: a}}}]",
        "spec.configPatches[0].patch.operation", "INSERT_FIRST has no effect on CLUSTER")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: ADD, value: {name: a}}}]", "spec.configPatches[0].patch.operation",
        "would add the filter after the router")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {name: a}}}]", "spec.configPatches[0].patch.value.name",
        "cannot be changed")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {load_balancing_policy: {}}}}]",
        "spec.configPatches[0].patch.value.load_balancing_policy", "proxies of Isthmus have no load_balancing_policy in envoy.config.cluster.v3.Cluster")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].timeout", "is missing: envoy.config.core.v3.HealthCheck needs it")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0]", "needs http_health_check, tcp_health_check or grpc_health_check")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, custom_health_check: {name: redis}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].custom_health_check", "proxies of Isthmus have no ")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, tcp_health_check: {}, event_logger: [{name: a}]}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].event_logger", "proxies of Isthmus have no event_logger")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, tcp_health_check: {proxy_protocol_config: {}}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].tcp_health_check.proxy_protocol_config", "proxies of Isthmus have no proxy_protocol_config")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, tcp_health_check: {send: {text: xyz}}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].tcp_health_check.send.text", "invalid hex string")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, http_health_check: {}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].http_health_check.path", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, http_health_check: {path: /, codec_client_type: HTTP3}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].http_health_check.codec_client_type", "proxies of Isthmus speak no HTTP/3")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, http_health_check: {path: /, method: CONNECT}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].http_health_check.method", "CONNECT cannot check health")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, http_health_check: {path: /, expected_statuses: [{start: 200, end: 200}]}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].http_health_check.expected_statuses[0]", "expecting start < end")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {health_checks: [{timeout: 0s, interval: 1s, unhealthy_threshold: 1, "
            + "healthy_threshold: 1, tcp_health_check: {}}]}}}]",
        "spec.configPatches[0].patch.value.health_checks[0].timeout", "must be greater than 0s")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {conect_timeout: 1s}}}]",
        "spec.configPatches[0].patch.value.conect_timeout", "proxies of Isthmus have no \"conect_timeout\"")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {connect_timeout: soon}}}]",
        "spec.configPatches[0].patch.value.connect_timeout", "\"soon\" is not a Duration")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {lb_policy: BEST}}}]",
        "spec.configPatches[0].patch.value.lb_policy", "\"BEST\" is not a LbPolicy")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: CLUSTER, patch: {operation: MERGE, value: {circuit_breakers: [1]}}}]",
        "spec.configPatches[0].patch.value.circuit_breakers", "must be an object")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {request_headers_to_remove: x}}}]",
        "spec.configPatches[0].patch.value.request_headers_to_remove", "must be a list")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: VIRTUAL_HOST, patch: {operation: MERGE, value: {include_request_attempt_count: false}}}]",
        "spec.configPatches[0].patch.value.include_request_attempt_count", "false is the default, which a merge does not set")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: NETWORK_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.network.local_ratelimit.v3.LocalRateLimit, share_key: a}}}}]",
        "spec.configPatches[0].patch.value.typed_config.share_key", "proxies of Isthmus have no share_key")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}, patch: "
            + "{operation: MERGE, value: {typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, set_current_client_cert_details: {chain: "
            + "true}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.set_current_client_cert_details.chain", "proxies of Isthmus have no chain")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {rate_limits: [{actions: [{metadata: {descriptor_key: a}}]}]}}}}]",
        "spec.configPatches[0].patch.value.route.rate_limits[0].actions[0].metadata", "proxies of Isthmus have no")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {rate_limits: [{actions: [{extension: {name: a}}]}]}}}}]",
        "spec.configPatches[0].patch.value.route.rate_limits[0].actions[0].extension", "proxies of Isthmus have no")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {rate_limits: [{limit: {}}]}}}}]",
        "spec.configPatches[0].patch.value.route.rate_limits[0].limit", "proxies of Isthmus have no")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_ROUTE, patch: {operation: MERGE, value: {route: {rate_limits: [{hits_addend: {number: 2}}]}}}}]",
        "spec.configPatches[0].patch.value.route.rate_limits[0].hits_addend", "proxies of Isthmus have no")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit}}}}]",
        "spec.configPatches[0].patch.value.typed_config.stat_prefix", "is missing: envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit needs it")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: a, token_bucket: {max_tokens: 0, "
            + "fill_interval: 1s}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.token_bucket.max_tokens", "must be greater than 0")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: a, token_bucket: {max_tokens: 1, "
            + "tokens_per_fill: 0, fill_interval: 1s}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.token_bucket.tokens_per_fill", "must be greater than 0")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: a, token_bucket: {max_tokens: 1}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.token_bucket.fill_interval", "is missing: envoy.type.v3.TokenBucket needs it")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, statPrefix: a, tokenBucket: {maxTokens: 1, fillInterval: "
            + "0.01s}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.tokenBucket.fillInterval", "must be at least 0.05s")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit, rate_limit_service: {grpc_service: {envoy_grpc: {cluster_name: "
            + "a}}}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.domain", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit, domain: a, rate_limit_service: {}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.rate_limit_service.grpc_service", "is missing")]
    [InlineData("EnvoyFilter", "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {name: a, typed_config: {}}}}]",
        "spec.configPatches[0].patch.value.typed_config.@type", "is missing")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {typed_config: {'@type': "
            + "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy}}}}]",
        "spec.configPatches[0].patch.value.typed_config.@type", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy cannot be in")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: HTTP_FILTER, patch: {operation: INSERT_FIRST, value: {typed_config: {'@type': type.googleapis.com/udpa.type.v1.TypedStruct, "
            + "type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, value: {stat_prefixes: a}}}}}]",
        "spec.configPatches[0].patch.value.typed_config.value.stat_prefixes", "proxies of Isthmus have no \"stat_prefixes\"")]
    [InlineData("EnvoyFilter",
        "configPatches: [{applyTo: NETWORK_FILTER, match: {listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}, patch: "
            + "{operation: MERGE, value: {typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy}}}}]",
        "spec.configPatches[0].patch.value.typed_config.@type", "the filter envoy.filters.network.http_connection_manager has configuration of another type")]
    [InlineData("EnvoyFilter", "priority: high", "spec.priority", "must be an integer")]
    [InlineData("PeerAuthentication", "portLevelMtls: {'80': {mode: STRICT}}", "spec.portLevelMtls",
        "mesh/namespace peer authentication cannot have port level mTLS")]
    [InlineData("PeerAuthentication", "mtls: {mode: SOMETIMES}", "spec.mtls.mode", "unsupported value \"SOMETIMES\"")]
    [InlineData("AuthorizationPolicy", "action: MAYBE", "spec.action", "unsupported value \"MAYBE\"")]
    [InlineData("AuthorizationPolicy", "action: CUSTOM", "spec.provider", "CUSTOM needs the name of a provider")]
    [InlineData("AuthorizationPolicy", "rules: [{from: []}]", "spec.rules[0].from", "\"from\" cannot be empty")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {}}]}]", "spec.rules[0].to[0].operation", "an operation must have at least one field")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {ipBlocks: [10.0.0]}}]}]", "spec.rules[0].from[0].source.ipBlocks[0]",
        "\"10.0.0\" is not a valid IP or CIDR block")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {ports: [http]}}]}]", "spec.rules[0].to[0].operation.ports[0]", "\"http\" is not a port")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/a{*}n']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/a{*}n\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {notPaths: ['/a{*}n']}}]}]", "spec.rules[0].to[0].operation.notPaths[0]",
        "\"/a{*}n\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{**}/{*}']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{**}/{*}\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{**}/{**}']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{**}/{**}\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{id}/x']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{id}/x\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/a}']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/a}\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{*}/a*']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{*}/a*\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{*}//a']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{*}//a\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{to: [{operation: {paths: ['/{*}{*}']}}]}]", "spec.rules[0].to[0].operation.paths[0]",
        "\"/{*}{*}\" is not a path template")]
    [InlineData("AuthorizationPolicy", "rules: [{when: [{key: request.header, values: [a]}]}]", "spec.rules[0].when[0].key",
        "unknown condition key \"request.header\"")]
    [InlineData("AuthorizationPolicy", "rules: [{when: [{key: source.ip}]}]", "spec.rules[0].when[0].values", "a condition needs values or notValues")]
    [InlineData("AuthorizationPolicy",
        "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: front}, {group: gateway.networking.k8s.io, kind: GatewayClass, name: back}]",
        "spec.targetRefs[1]", "GatewayClass \"back\" cannot be a target")]
    [InlineData("AuthorizationPolicy", "targetRef: {kind: Service, name: orders}", "spec.targetRef", "Service \"orders\" cannot be a target")]
    [InlineData("RequestAuthentication", "targetRef: {kind: GatewayClass, name: waypoint}", "spec.targetRef", "GatewayClass \"waypoint\" cannot be a target")]
    [InlineData("EnvoyFilter", "targetRefs: [{kind: Gateway, name: front}]", "spec.targetRefs[0].group", "\"\" has no kind Gateway that can be a target")]
    [InlineData("PeerAuthentication", "targetRef: {kind: Gateway, name: front}", "spec.targetRef", "unknown field \"targetRef\"")]
    [InlineData("PeerAuthentication", "mtls: {modes: STRICT}", "spec.mtls.modes", "unknown field \"modes\"")]
    [InlineData("AuthorizationPolicy", "selector: {matchExpressions: []}", "spec.selector.matchExpressions", "unknown field \"matchExpressions\"")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {namespace: [a]}}]}]", "spec.rules[0].from[0].source.namespace",
        "unknown field \"namespace\"")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {trustDomains: ['a*b']}}]}]", "spec.rules[0].from[0].source.trustDomains[0]",
        "\"a*b\" is not a trust domain")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {trustDomains: ['**']}}]}]", "spec.rules[0].from[0].source.trustDomains[0]",
        "\"**\" is not a trust domain")]
    [InlineData("AuthorizationPolicy", "rules: [{when: [{key: source.trustDomain, values: [a/b]}]}]", "spec.rules[0].when[0].values[0]",
        "\"a/b\" is not a trust domain")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {serviceAccounts: [a/b/c]}}]}]", "spec.rules[0].from[0].source.serviceAccounts[0]",
        "\"a/b/c\" is not a service account")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {serviceAccounts: ['a/*']}}]}]", "spec.rules[0].from[0].source.serviceAccounts[0]",
        "\"a/*\" is not a service account")]
    [InlineData("AuthorizationPolicy", "rules: [{from: [{source: {notServiceAccounts: [a], namespaces: [b]}}]}]", "spec.rules[0].from[0].source.namespaces",
        "cannot be set together with serviceAccounts")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"keys\":[]}', spaceDelimitedClaim: [x]}]", "spec.jwtRules[0].spaceDelimitedClaim",
        "unknown field \"spaceDelimitedClaim\"")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"keys\":[]}', spaceDelimitedClaims: ['']}]",
        "spec.jwtRules[0].spaceDelimitedClaims[0]", "the name of a claim must not be empty")]
    [InlineData("RequestAuthentication", "jwtRules: [{jwks: '{\"keys\":[]}'}]", "spec.jwtRules[0].issuer", "issuer or jwksUri must be set")]
    [InlineData("VirtualService", "hosts: ['fo*.example']\nhttp: [{route: [{destination: {host: a}}]}]", "spec.hosts[0]",
        "domain name \"fo*.example\" invalid (label \"fo*\" invalid)")]
    [InlineData("VirtualService", "hosts: ['*-.example']\nhttp: [{route: [{destination: {host: a}}]}]", "spec.hosts[0]",
        "domain name \".example\" invalid (label \"\" invalid)")]
    [InlineData("VirtualService", "hosts: ['*foo.example']\ntls: [{match: [{sniHosts: ['*foo.example']}], route: [{destination: {host: a}}]}]",
        "spec.tls[0].match[0].sniHosts[0]", "\"*foo.example\" cannot be matched by the server name (SNI)")]
    [InlineData("ServiceEntry", "hosts: ['*-foo.example']\nports: [{number: 443, name: tls, protocol: TLS}]\nresolution: NONE", "spec.hosts[0]",
        "\"*-foo.example\" cannot be matched by the server name (SNI)")]
    [InlineData("Gateway", "servers: [{port: {number: 443, name: a, protocol: HTTPS}, hosts: ['x/*-foo.example'], tls: {mode: SIMPLE, credentialName: a}}]",
        "spec.servers[0].hosts[0]", "\"*-foo.example\" cannot be matched by the server name (SNI)")]
    [InlineData("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, bind: 'unix:///run/a', hosts: ['*']}]", "spec.servers[0].bind",
        "\"unix:///run/a\" is not an IP address: gateways listen at nothing else")]
    [InlineData("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, bind: a.example, hosts: ['*']}]", "spec.servers[0].bind",
        "\"a.example\" is not an IP address")]
    [InlineData("Sidecar", "ingress: [{port: {number: 80, protocol: HTTP, name: a}, defaultEndpoint: '10.0.0.1:80'}]", "spec.ingress[0].defaultEndpoint",
        "sidecar: defaultEndpoint must be of form")]
    [InlineData("Sidecar", "ingress: [{port: {number: 80, protocol: HTTP, name: a}, defaultEndpoint: 'unix://'}]", "spec.ingress[0].defaultEndpoint",
        "sidecar: defaultEndpoint must be of form")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: a.example}]", "spec.jwtRules[0].jwksUri",
        "\"a.example\" is not an http or https URI")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{\"keys\":[],\"keys\":[]}'}]", "spec.jwtRules[0].jwks",
        "is not a JSON object with a list \"keys\"")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwks: '{}'}]", "spec.jwtRules[0].jwks", "is not a JSON object with a list \"keys\"")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', timeout: soon}]", "spec.jwtRules[0].timeout",
        "\"soon\" is not a duration")]
    [InlineData("RequestAuthentication", "jwtRules: [{issuer: a, jwksUri: 'http://a', timeout: 0s}]", "spec.jwtRules[0].timeout",
        "duration must be greater than 1ms")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tunnel: {protocol: GET, targetHost: b, targetPort: 443}}", "spec.trafficPolicy.tunnel.protocol",
        "\"GET\" is not a way to ask for a tunnel")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tunnel: {targetHost: '*.b', targetPort: 443}}", "spec.trafficPolicy.tunnel.targetHost",
        "domain name \"*.b\" invalid")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {tunnel: {targetHost: b, targetPort: 0}}", "spec.trafficPolicy.tunnel.targetPort",
        "port number 0 must be in the range 1..65535")]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {proxyProtocol: {}, tunnel: {targetHost: b, targetPort: 1}}", "spec.trafficPolicy.tunnel",
        "tunnel and proxyProtocol must not be set together")]
    [InlineData("Sidecar", "outboundTrafficPolicy: {mode: ALLOW_ANY, egressProxy: {host: a}}", "spec.outboundTrafficPolicy.egressProxy",
        "egress proxies are not supported")]
    [InlineData("Sidecar", "egress: [{bind: 127.0.0.1, port: {number: 80, protocol: HTTP, name: http}, hosts: ['*/*']}]", "spec.egress[0].bind",
        "listeners at an address of their own are not supported")]
    [InlineData("Sidecar", "egress: [{captureMode: NONE, hosts: ['*/*']}]", "spec.egress[0].captureMode",
        "NONE is not supported: traffic is captured by redirection")]
    [InlineData("Sidecar", "ingress: [{captureMode: NONE, port: {number: 80, protocol: HTTP, name: a}}]", "spec.ingress[0].captureMode",
        "NONE is not supported: traffic is captured by redirection")]
    [InlineData("Sidecar", "ingress: [{port: {number: 80, protocol: HTTP, name: a}, tls: {mode: SIMPLE}}]", "spec.ingress[0].tls",
        "TLS settings of ingress listeners are not supported")]
    public void A_mistake_is_named_with_the_path_of_its_field(string kind, string spec, string path, string message)
    {
        var problem = Assert.Single(Validation.Check(Object(kind, spec)), problem => problem.Path == path);
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.Equal(Severity.Error, problem.Severity);
        Assert.Equal($"{kind} shop/x", problem.Object);
    }

    [Theory]
    [InlineData("DestinationRule", "host: a\ntrafficPolicy: {loadBalancer: {simple: RANDOM, warmup: {duration: 1s}}}", "spec.trafficPolicy.loadBalancer.warmup",
        "has no effect: only ROUND_ROBIN and LEAST_REQUEST warm hosts up")]
    [InlineData("Sidecar", "inboundConnectionPool: {http: {h2UpgradePolicy: UPGRADE}}", "spec.inboundConnectionPool.http.h2UpgradePolicy",
        "has no effect in Isthmus")]
    [InlineData("Sidecar", "ingress: [{bind: 0.0.0.0, port: {number: 80, protocol: HTTP, name: http}}]", "spec.ingress[0].bind",
        "has no effect: proxies open no listener of its own for it")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{match: [{statPrefix: x}], route: [{destination: {host: a}}]}]", "spec.http[0].match[0].statPrefix",
        "has no effect in Isthmus")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{retries: {attempts: 1, retryOn: 'http3-post-connect-failure,5xx'}, route: [{destination: {host: a}}]}]",
        "spec.http[0].retries.retryOn", "\"http3-post-connect-failure\" has no effect: proxies use no HTTP/3")]
    [InlineData("VirtualService", "hosts: [a]\nhttp: [{retries: {attempts: 1, retryOn: retriable-headers}, route: [{destination: {host: a}}]}]",
        "spec.http[0].retries.retryOn", "\"retriable-headers\" has no effect: no field of a VirtualService names the headers")]
    public void A_field_without_effect_is_named(string kind, string spec, string path, string message)
    {
        var problem = Assert.Single(Validation.Check(Object(kind, spec)), problem => problem.Path == path);
        Assert.StartsWith(message, problem.Message, StringComparison.Ordinal);
        Assert.Equal(Severity.Warning, problem.Severity);
    }

    /// <summary>Who wants to leave a host out must not be told to let it in.</summary>
    [Theory]
    [InlineData("a.com", "write */a.com for every namespace"), InlineData("~a.com", "write ~*/a.com for every namespace")]
    public void The_remedy_for_a_host_of_a_sidecar_keeps_its_meaning(string host, string remedy) =>
        Assert.Equal(remedy, Assert.Single(Validation.Check(Object("Sidecar", $"egress: [{{hosts: ['{host}']}}]"))).Remedy);

    [Fact]
    public void An_unknown_field_is_a_warning_that_names_it()
    {
        var problem = Assert.Single(Validation.Check(Object("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, host: ['*'], hosts: ['*']}]")));
        Assert.Equal(("spec.servers[0].host", Severity.Warning), (problem.Path, problem.Severity));
    }

    [Fact]
    public void TLS_settings_of_a_server_that_passes_TLS_through_are_a_warning()
    {
        var problem = Assert.Single(Validation.Check(Object("Gateway",
            "servers: [{port: {number: 443, name: a, protocol: TLS}, hosts: ['*'], tls: {mode: PASSTHROUGH, minProtocolVersion: TLSV1_0}}]")));
        Assert.Equal(("spec.servers[0].tls.minProtocolVersion", Severity.Warning), (problem.Path, problem.Severity));
    }

    [Theory]
    [InlineData("cipherSuites: [AES128-SHA, AES128-SHA]", "cipherSuites[1]")]
    [InlineData("minProtocolVersion: TLSV1_3, cipherSuites: [AES128-SHA]", "cipherSuites")]
    public void Cipher_suites_that_change_nothing_are_a_warning(string tls, string field)
    {
        var problem = Assert.Single(Validation.Check(Object("Gateway",
            $"servers: [{{port: {{number: 443, name: a, protocol: HTTPS}}, hosts: ['*'], tls: {{mode: SIMPLE, credentialName: a, {tls}}}}}]")));
        Assert.Equal(($"spec.servers[0].tls.{field}", Severity.Warning), (problem.Path, problem.Severity));
    }

    [Theory]
    [InlineData("mode: SIMPLE, insecureSkipVerify: true", "insecureSkipVerify")]
    [InlineData("mode: MUTUAL, credentialName: outside", "credentialName")]
    public void TLS_that_verifies_nothing_or_needs_a_gateway_is_a_warning(string tls, string field)
    {
        var problem = Assert.Single(Validation.Check(Object("DestinationRule", $"host: a\ntrafficPolicy: {{tls: {{{tls}}}}}")));
        Assert.Equal(($"spec.trafficPolicy.tls.{field}", Severity.Warning), (problem.Path, problem.Severity));
    }

    [Theory]
    [InlineData("WorkloadGroup", Severity.Warning, "WorkloadGroup is accepted but has no effect")]
    [InlineData("TrafficExtension", Severity.Error, "TrafficExtensions are not supported: proxies of Isthmus run neither Wasm nor Lua")]
    public void A_kind_without_effect_is_named(string name, Severity severity, string message)
    {
        var kind = MeshApi.Istio.Single(known => known.Kind == name);
        var item = new JsonObject
        {
            ["apiVersion"] = $"{kind.Group}/{kind.ReadVersion}", ["kind"] = kind.Kind, ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" },
            ["spec"] = new JsonObject { ["template"] = new JsonObject() }
        };
        var problem = Assert.Single(Validation.Check(item));
        Assert.Equal(("kind", message, severity), (problem.Path, problem.Message, problem.Severity));
    }

    [Theory]
    [InlineData("VirtualService", "hosts: ['*foo.example', '*-foo.example', '*.foo.example', '*foo']\nhttp: [{route: [{destination: {host: a}}]}]")]
    [InlineData("Gateway", "servers: [{port: {number: 80, name: a, protocol: HTTP}, hosts: ['*foo.example', 'x/*-foo.example']}]")]
    [InlineData("ServiceEntry", "hosts: ['*foo.example']\nports: [{number: 80, name: http, protocol: HTTP}]\nresolution: NONE")]
    [InlineData("Sidecar", "egress: [{hosts: ['*/*foo.example', './*-foo.example']}]")]
    [InlineData("DestinationRule", "host: '*foo.example'")]
    [InlineData("RequestAuthentication", "jwtRules: [{jwksUri: 'http://a.example/keys'}]")]
    public void What_Istio_accepts_is_accepted(string kind, string spec) => Assert.Empty(Validation.Check(Object(kind, spec)));

    [Fact]
    public void A_gateway_reads_as_it_is_meant()
    {
        var read = IstioConfig.Read(Object("Gateway",
            "selector: {app: edge}\nservers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]"),
            "c1");
        var gateway = Assert.IsType<Gateway>(read.Value);
        Assert.Empty(read.Problems);
        var server = Assert.Single(gateway.Servers);
        Assert.Equal((15443, Protocol.Tls, ServerTlsMode.AutoPassthrough), (server.Port, server.Protocol, server.Tls!.Mode));
    }

    [Fact]
    public void Short_names_are_qualified_by_the_namespace_of_the_resource()
    {
        var routing = (VirtualService)IstioConfig.Read(Object("VirtualService",
            "hosts: [orders]\nhttp: [{route: [{destination: {host: orders, subset: v1}}]}]"),
            "c1").Value!;
        Assert.Equal("orders.shop.svc.cluster.local", routing.Hosts[0]);
        Assert.Equal(new("orders.shop.svc.cluster.local", "v1", 0), routing.Http[0].Destinations[0].Destination);
        Assert.True(routing.ForSidecars);
    }

    [Fact]
    public void Every_kind_of_the_base_chart_has_a_CRD_with_one_stored_version()
    {
        Assert.Equal(16, IstioCrds.All.Count);
        foreach (var crd in IstioCrds.All)
        {
            var versions = crd["spec"]!["versions"]!.AsArray();
            Assert.Single(versions, version => (bool)version!["storage"]!);
            Assert.All(versions, version => Assert.Equal("object", (string)version!["schema"]!["openAPIV3Schema"]!["properties"]!["spec"]!["type"]!));
            Assert.Equal($"{crd["spec"]!["names"]!["plural"]}.{crd["spec"]!["group"]}", (string)crd["metadata"]!["name"]!);
        }
    }

    [Fact]
    public void Mesh_settings_keep_defaults_where_they_are_silent_or_wrong()
    {
        var (config,
            problems) = MeshConfigReader.ReadMesh(
                YamlText.Parse(
                    "trustDomain: example.org\ntrustDomainAliases: [old.example]\nconnectTimeout: soon\nserviceSettings: [{settings: {clusterLocal: true}, "
                        + "hosts: ['*.shop.svc.cluster.local']}]",
                "mesh"));
        Assert.Equal(["example.org", "old.example"], config.TrustDomains);
        Assert.Equal(TimeSpan.FromSeconds(10), config.ConnectTimeout);
        Assert.True(config.ServiceSettings[0].ClusterLocal);
        Assert.Equal("connectTimeout", Assert.Single(problems).Path);
    }

    [Fact]
    public void Whatever_an_object_holds_reading_it_ends_with_problems_not_with_an_exception()
    {
        var leaf = Gen.Elements<object?>("x", "*", "-1", "10s", "a/b", "STATIC", 0, -5, 443, 1e300, true, null, "", "[a");
        string[] names =
        [
            "hosts", "servers", "port", "number", "name", "protocol", "tls", "mode", "http", "route", "destination", "host", "match", "uri", "regex", "exact",
            "weight", "retries", "attempts",
            "timeout", "subsets", "labels", "trafficPolicy", "connectionPool", "tcp", "outlierDetection", "loadBalancer", "consistentHash", "endpoints",
            "ports", "address", "addresses",
            "resolution", "egress", "ingress", "defaultEndpoint", "selector", "matchLabels", "portLevelMtls", "80", "fault", "abort", "corsPolicy", "maxAge",
            "localityLbSetting", "distribute", "to",
            "rules", "from", "source", "operation", "when", "key", "values", "principals", "ipBlocks", "serviceAccounts", "action", "targetRefs", "mtls",
            "jwtRules", "issuer",
        ];
        Gen<JsonNode?> Tree(int depth) => depth == 0
            ? leaf.Select(value => (JsonNode?)JsonValue.Create(value))
            : Gen.OneOf(
                leaf.Select(value => (JsonNode?)JsonValue.Create(value)),
                Tree(depth - 1).ListOf(3).Select(items => (JsonNode?)new JsonArray([.. items.Take(3).Select(item => item?.DeepClone())])),
                Gen.Zip(Gen.Elements(names), Tree(depth - 1)).ListOf(5)
                    .Select(items => (JsonNode?)new JsonObject(items.Take(6).DistinctBy(item => item.Item1)
                        .Select(item => KeyValuePair.Create(item.Item1, item.Item2?.DeepClone())))));
        var objects = Gen.Zip(Gen.Elements(MeshApi.Istio.Select(kind => kind).ToArray()), Tree(4));
        Prop.ForAll(Arb.From(objects), item =>
        {
            var @object = new JsonObject
            {
                ["apiVersion"] = $"{item.Item1.Group}/{item.Item1.ReadVersion}", ["kind"] = item.Item1.Kind,
                ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" }, ["spec"] = item.Item2?.DeepClone()
            };
            var read = IstioConfig.Read(@object, "c1");
            // An object whose absence would open something still applies, with its strictest meaning (PolicyScopeTests, ClosedWayTests).
            Assert.True(read.IsValid
                || read.Value is null or AuthorizationPolicy or PeerAuthentication or RequestAuthentication or DestinationRule or Sidecar or WasmPlugin);
            MeshConfigReader.ReadMesh(item.Item2);
            MeshConfigReader.ReadNetworks(item.Item2);
        }).MustHold();
    }

    private static JsonObject Object(string kind, string spec)
    {
        var group = kind is "PeerAuthentication" or "AuthorizationPolicy" or "RequestAuthentication"
            ? "security.istio.io/v1beta1"
            : kind == "ProxyConfig"
            ? "networking.istio.io/v1beta1"
            : "networking.istio.io/v1alpha3";
        return new()
        {
            ["apiVersion"] = group, ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = "x", ["namespace"] = "shop" },
            ["spec"] = YamlText.Parse(spec, "spec")
        };
    }
}
