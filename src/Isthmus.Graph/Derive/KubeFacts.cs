using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Core.Json;
using Isthmus.Core.Names;
using Isthmus.Core.Net;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Model;
using Isthmus.Wire.Tls;
using EndpointAddress = Isthmus.Mesh.Model.EndpointAddress;
using ServicePort = Isthmus.Mesh.Model.ServicePort;

namespace Isthmus.Graph.Derive;

/// <summary>Reduces Kubernetes objects to the fields that a mesh uses, so that other changes stop here.</summary>
public static class KubeFacts
{
    private const string OldRegion = "failure-domain.beta.kubernetes.io/region";
    private const string OldZone = "failure-domain.beta.kubernetes.io/zone";

    public static ClusterService Of(string cluster, Service service, string domainSuffix = WellKnown.DefaultDomainSuffix)
    {
        var (meta, spec) = (service.Metadata, service.Spec);
        var isExternalName = spec.Type == "ExternalName";
        var ips = spec.ClusterIPs.Count > 0 ? spec.ClusterIPs : spec.ClusterIP.Length > 0 ? [spec.ClusterIP] : [];
        return new(
            new(cluster, "Service", meta.Namespace, meta.Name),
            $"{meta.Name}.{meta.Namespace}.svc.{domainSuffix}",
            spec.Ports.Select(Port).ToValueList(),
            isExternalName ? default : AddressesIn(ips),
            !isExternalName && spec.ClusterIP == "None",
            isExternalName ? spec.ExternalName.TrimEnd('.') : "",
            spec.Selector.ToValueMap(),
            meta.Labels.ToValueMap(),
            Split(meta.Annotations.GetValueOrDefault(Annotations.ExportTo)),
            ExternalAddresses(service),
            meta.Labels.GetValueOrDefault(Labels.Network, ""),
            GatewayPort(meta.Labels),
            GatewayNodes(service),
            spec.PublishNotReadyAddresses,
            meta.CreationTimestamp?.ToUnixTimeSeconds() ?? 0,
            GatewayWeight(meta.Annotations),
            TrafficDistributions.Parse(spec.TrafficDistribution)
                ?? TrafficDistributions.OfAnnotation(meta.Annotations.GetValueOrDefault(Annotations.TrafficDistribution)),
            spec.InternalTrafficPolicy == "Local")
        {
            Grants = Split(meta.Annotations.GetValueOrDefault(Annotations.HostGrants)), IsLoadBalancer = spec.Type == "LoadBalancer", Offer = OfferOf(spec),
        };
    }

    private static ServiceOffer OfferOf(ServiceSpec spec) => new(
        spec.Ports.Select(port => new OfferedPort(port.Name, port.Port, port.Protocol, port.AppProtocol)).ToValueList(),
        spec.SessionAffinity, spec.SessionAffinityConfig?.ClientIP?.TimeoutSeconds ?? 0, spec.InternalTrafficPolicy, spec.TrafficDistribution,
        spec.IpFamilies.ToValueList());

    /// <summary>An invalid weight counts as absent.</summary>
    private static uint GatewayWeight(Dictionary<string, string> annotations) =>
        annotations.TryGetValue(Annotations.GatewayWeight, out var text) && uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var weight)
            && weight <= 1000
            ? weight
            : 1;

    private static ServicePort Port(Kubernetes.Objects.ServicePort port)
    {
        var target = port.TargetPort is JsonValue value ? value.ToString() : "";
        return new(port.Name, port.Port, Protocols.Of(port.Protocol, port.AppProtocol, port.Name, port.Port), target, port.NodePort);
    }

    private static ValueList<EndpointAddress> ExternalAddresses(Service service)
    {
        if (service.Spec.Type == "NodePort" && service.Metadata.Annotations.ContainsKey(Annotations.NodeSelector)) return default;
        return service.Status.LoadBalancer.Ingress
            .Select(ingress => ingress.Ip.Length > 0 ? ingress.Ip : ingress.Hostname)
            .Concat(service.Spec.ExternalIPs)
            .Select(EndpointAddress.Parse).Where(address => !address.IsNone).Distinct().ToValueList();
    }

    private static int GatewayPort(Dictionary<string, string> labels) =>
        labels.TryGetValue(Labels.GatewayPort, out var text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && port is > 0 and <= 65535
            ? port : Ports.EastWest;

    /// <summary>The selector of the Nodes through which an annotated NodePort gateway is reached; an annotation that is not
    /// a JSON object selects none.</summary>
    private static ValueMap<string>? GatewayNodes(Service service)
    {
        if (!service.Metadata.Annotations.TryGetValue(Annotations.NodeSelector, out var text)) return null;
        try
        {
            return StrictJson.Parse(text) is JsonObject selector
                ? selector.Select(pair => KeyValuePair.Create(pair.Key, pair.Value?.ToString() ?? "")).ToValueMap()
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static Workload Of(string cluster, MeshPod pod)
    {
        var meta = pod.Metadata;
        var ips = pod.Status.PodIPs.Count > 0 ? pod.Status.PodIPs.Select(ip => ip.Ip) : [pod.Status.PodIP];
        var ports = new Dictionary<string, int>();
        foreach (var port in pod.Spec.Containers.Concat(pod.Spec.InitContainers).SelectMany(container => container.Ports))
        {
            if (port.Name.Length > 0) ports.TryAdd(port.Name, port.Number);
        }
        return new(
            Workload.KeyOfPod(new(cluster, meta.Namespace, meta.Name)),
            WorkloadOf(pod),
            meta.Labels.ToValueMap(),
            pod.Spec.ServiceAccountName.Length > 0 ? pod.Spec.ServiceAccountName : "default",
            AddressesIn(ips),
            ports.ToValueMap())
        {
            Node = pod.Spec.NodeName, Runs = ProxyOf(pod), Hostname = pod.Spec.Hostname, Subdomain = pod.Spec.Subdomain,
            HasEnded = pod.Status.Phase is "Succeeded" or "Failed",
            Health = pod.Status.IsReady && meta.DeletionTimestamp is null ? EndpointHealth.Ready : EndpointHealth.NotReady,
        };
    }

    /// <summary>As the arguments of its container say; who starts a proxy in another way leaves it open.</summary>
    private static ProxyKind? ProxyOf(MeshPod pod)
    {
        var arguments = pod.Spec.Containers.Concat(pod.Spec.InitContainers).FirstOrDefault(container => container.Name == ProxyContainer)?.Args ?? [];
        return arguments is ["proxy", "sidecar", ..] ? ProxyKind.Sidecar : arguments is ["proxy", "router", ..] ? ProxyKind.Router : null;
    }

    private const string ProxyContainer = "istio-proxy";

    /// <summary>A ReplicaSet is named after its Deployment and the template hash.</summary>
    private static string WorkloadOf(MeshPod pod)
    {
        var owner = pod.Metadata.OwnerReferences.FirstOrDefault(reference => reference.Controller == true);
        if (owner is null) return pod.Metadata.Name;
        if (owner.Kind != "ReplicaSet" || !pod.Metadata.Labels.TryGetValue("pod-template-hash", out var hash)) return owner.Name;
        return owner.Name.EndsWith("-" + hash, StringComparison.Ordinal) ? owner.Name[..^(hash.Length + 1)] : owner.Name;
    }

    public static NodeFacts Of(string cluster, Node node)
    {
        var labels = node.Metadata.Labels;
        var locality = new Locality(
            labels.GetValueOrDefault(Labels.Region) ?? labels.GetValueOrDefault(OldRegion, ""),
            labels.GetValueOrDefault(Labels.Zone) ?? labels.GetValueOrDefault(OldZone, ""),
            labels.GetValueOrDefault(Labels.Subzone, ""));
        // Nodes change all the time; these fields do not. All labels are kept: gateways may select by any.
        return new(
            new(cluster, "Node", "", node.Metadata.Name), locality, labels.ToValueMap(),
            Addresses(node, "ExternalIP"), Addresses(node, "InternalIP"), node.Status.NodeInfo.KubeletVersion);
    }

    private static ValueList<EndpointAddress> Addresses(Node node, string type) =>
        node.Status.Addresses.Where(address => address.Type == type).Select(address => EndpointAddress.Parse(address.Address)).ToValueList();

    /// <summary>API servers take no other texts here but empty ones, which are not known yet, and <c>None</c>.</summary>
    private static ValueList<Address> AddressesIn(IEnumerable<string> texts) =>
        texts.Select(text => Address.TryParse(text, out var address) ? address : (Address?)null).OfType<Address>().ToValueList();

    /// <summary>Null for Secrets that do not hold TLS credentials: nothing of them is kept.</summary>
    public static TlsCredential? Of(string cluster, Secret secret)
    {
        var credential = new TlsCredential(
            new(cluster, "Secret", secret.Metadata.Namespace, secret.Metadata.Name),
            Text(secret, "tls.crt", "cert"), Text(secret, "tls.key", "key"), Text(secret, "ca.crt", "cacert"))
        {
            Revocations = Text(secret, "ca.crl", "crl"), Registries = secret.Type == "kubernetes.io/dockerconfigjson" ? Text(secret, ".dockerconfigjson") : "",
        };
        return credential is { Certificate: "" or null, CaCertificates: "" or null, Registries: "" or null }
            ? null
            : credential with { Problem = ProblemOf(credential), CaProblem = CaProblemOf(credential, "ca.crt") };
    }

    /// <summary>Null for ConfigMaps without a CA: nothing of them is kept.</summary>
    public static TlsCredential? Of(string cluster, ConfigMap map)
    {
        if ((map.Data.GetValueOrDefault("ca.crt") ?? map.Data.GetValueOrDefault("cacert")) is not { Length: > 0 } text) return null;
        var bundle = new TlsCredential(new(cluster, "ConfigMap", map.Metadata.Namespace, map.Metadata.Name), "", "",
            text) { Revocations = map.Data.GetValueOrDefault("ca.crl", "") };
        return bundle with { CaProblem = CaProblemOf(bundle, "ca.crt") };
    }

    /// <summary>Null for ClusterTrustBundles without a CA: nothing of them is kept.</summary>
    public static TlsCredential? OfBundle(string cluster, JsonObject item)
    {
        if (item["spec"]?["trustBundle"]?.ToString() is not { Length: > 0 } text) return null;
        var bundle = new TlsCredential(new(cluster, "ClusterTrustBundle", "", item["metadata"]?["name"]?.ToString() ?? ""), "", "", text);
        return bundle with { CaProblem = CaProblemOf(bundle, "spec.trustBundle") };
    }

    private static string ProblemOf(TlsCredential credential)
    {
        if (credential.Certificate.Length == 0) return "";
        if (credential.PrivateKey.Length == 0) return "holds no private key (tls.key)";
        return Keys.WhyUnusable(credential.Certificate, credential.PrivateKey);
    }

    private static string CaProblemOf(TlsCredential credential, string field)
    {
        if (credential.CaCertificates.Length == 0) return "";
        var roots = new X509Certificate2Collection();
        try
        {
            roots.ImportFromPem(credential.CaCertificates);
            return roots.Count > 0 ? "" : $"holds no certificate in its CA ({field})";
        }
        catch (CryptographicException e)
        {
            return $"holds a CA ({field}) that cannot be read: {e.Message.TrimEnd('.')}";
        }
        finally
        {
            foreach (var root in roots) root.Dispose();
        }
    }

    private static string Text(Secret secret, params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            if (secret.Bytes(key) is { Length: > 0 } bytes) return System.Text.Encoding.UTF8.GetString(bytes);
        }
        return "";
    }

    public static NamespaceFacts Of(string cluster, Namespace ns) => new(
        new(cluster, "Namespace", "", ns.Metadata.Name), ns.Metadata.Labels.GetValueOrDefault(Labels.Network, ""), ns.Metadata.Labels.ToValueMap())
    {
        Grants = Split(ns.Metadata.Annotations.GetValueOrDefault(Annotations.HostGrants)),
        Distribution = TrafficDistributions.OfAnnotation(ns.Metadata.Annotations.GetValueOrDefault(Annotations.TrafficDistribution)),
    };

    /// <summary>Null for slices that no Service owns, or whose addresses are not IP addresses.</summary>
    public static SliceFacts? Of(string cluster, EndpointSlice slice)
    {
        if (slice.AddressType is not ("IPv4" or "IPv6") || !slice.Metadata.Labels.TryGetValue(Labels.ServiceName, out var service)) return null;
        var addresses = new List<SliceAddress>();
        foreach (var endpoint in slice.Endpoints)
        {
            var pod = endpoint.TargetRef is { Kind: "Pod" } target
                ? new ObjectKey(cluster, target.Namespace.Length > 0 ? target.Namespace : slice.Metadata.Namespace, target.Name)
                : (ObjectKey?)null;
            foreach (var address in AddressesIn(endpoint.Addresses))
                addresses.Add(new(address, Health(endpoint.Conditions), pod, endpoint.NodeName, endpoint.Zone, endpoint.Hostname));
        }
        var ports = slice.Ports.Where(port => port.Port is not null).GroupBy(port => port.Name)
            .Select(group => KeyValuePair.Create(group.Key, group.First().Port!.Value));
        return new(new(cluster, "EndpointSlice", slice.Metadata.Namespace, slice.Metadata.Name), service, addresses.ToValueList(), ports.ToValueMap());
    }

    /// <summary>An unset condition means ready; a terminating endpoint gets no new requests, serving or not.</summary>
    private static EndpointHealth Health(SliceConditions conditions) =>
        conditions.Terminating == true ? EndpointHealth.Draining : conditions.Ready ?? true ? EndpointHealth.Ready : EndpointHealth.NotReady;

    private static ValueList<string> Split(string? text) =>
        (text ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).ToValueList();
}
