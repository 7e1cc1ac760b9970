using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Yaml;

namespace Isthmus.Operate.MeshFile;

/// <summary>Several problems at once, each with its location and remedy.</summary>
public sealed class MeshProblemsException(IReadOnlyList<Problem> problems) : Exception(string.Join('\n', problems))
{
    public IReadOnlyList<Problem> Problems => problems;
}

/// <summary>Reads a mesh file. It rejects a file that contradicts itself, with all of its problems, and reads no
/// cluster.</summary>
public static partial class MeshReader
{
    private const string DefaultNetwork = "network1";
    private const string DefaultDirectory = "certs";
    private const string DefaultHostNamespace = "external-istiod";
    private const int MostReplicas = 100;

    /// <param name="folder">The folder that relative paths in the file start from.</param>
    /// <exception cref="ProblemException">The text is not YAML.</exception>
    /// <exception cref="MeshProblemsException">The file is not a valid mesh file.</exception>
    public static MeshSpec Read(string text, string source, string folder)
    {
        var problems = new List<Problem>();
        var documents = YamlText.ParseAll(text, source);
        if (documents is not [JsonObject root])
            throw new ProblemException(source,
                documents.Count == 0 ? "is empty" : documents.Count > 1 ? $"contains {documents.Count} YAML documents (expected one)" : "is not a YAML mapping",
                $"begin it with 'apiVersion: {MeshSpec.ApiVersion}' and 'kind: {MeshSpec.Kind}'");
        var mesh = Mesh(new FieldReader(root, "", source, problems), source, folder);
        problems.AddRange(MeshCheck.Run(mesh));
        return problems.Count == 0 ? mesh : throw new MeshProblemsException(problems);
    }

    private static MeshSpec Mesh(FieldReader root, string source, string folder)
    {
        root.Only("apiVersion", "kind", "metadata", "spec");
        if (root.Text("apiVersion") is var version && version != MeshSpec.ApiVersion)
            root.Wrong("ISM0304", "apiVersion", $"'{version}' is not {MeshSpec.ApiVersion}", $"write 'apiVersion: {MeshSpec.ApiVersion}'");
        if (root.Text("kind") is var kind && kind != MeshSpec.Kind)
            root.Wrong("ISM0304", "kind", $"'{kind}' is not {MeshSpec.Kind}", $"write 'kind: {MeshSpec.Kind}'");
        var metadata = root.Mapping("metadata").Only("name", "labels", "annotations");
        var name = Name(metadata, "name", "name the mesh, for example mesh1");
        var spec = root.Mapping("spec").Only("revision", "join", "trust", "install", "gatewayApi", "networks", "clusters");
        var networks = spec.Mappings("networks").Select(Network).ToList();
        var isOneNetwork = networks.Count < 2;
        if (networks.Count == 0) networks.Add(new(DefaultNetwork, GatewaySpec.Default));
        var clusters = spec.Mappings("clusters").Select(cluster => Cluster(cluster, isOneNetwork ? networks[0].Name : null, folder)).ToValueList();
        if (clusters.IsEmpty) spec.Wrong("ISM0302", spec.At("clusters"), "has no clusters", "add at least one, with '- name: …'");
        return new(source, name, spec.Has("revision") ? Name(spec, "revision", "") : "", Join(spec), Trust(spec.Mapping("trust"), folder),
            networks.ToValueList(), clusters, spec.Free("install"), spec.Mapping("gatewayApi").Only("install").Flag("install"));
    }

    private static JoinKind Join(FieldReader spec)
    {
        switch (spec.Text("join"))
        {
            case "" or "discovery": return JoinKind.Discovery;
            case "names": return JoinKind.Names;
            case var other:
                spec.Wrong("ISM0303", spec.At("join"), $"'{other}' is not a valid join mode",
                    "use discovery (control planes watch all clusters) or names (Services of other clusters are called by NAME.NAMESPACE.global)");
                return JoinKind.Discovery;
        }
    }

    private static TrustSpec Trust(FieldReader trust, string folder)
    {
        trust.Only("directory", "root");
        var root = trust.Mapping("root").Only("certificate", "key");
        var given = trust.Has("root");
        return new(Resolve(folder, trust.Text("directory", DefaultDirectory)),
            given ? Resolve(folder, root.Required("certificate", "name the PEM file of the root's certificate")) : "",
            given ? Resolve(folder, root.Required("key", "name the PEM file of the root's key, which signs the clusters' CAs")) : "");
    }

    private static NetworkSpec Network(FieldReader network)
    {
        network.Only("name", "gateway");
        var gateway = network.Mapping("gateway").Only("clusters", "replicas", "service", "serviceAnnotations");
        return new(LabelValue(network, "name", "name the network, for example network1"),
            new(gateway.Texts("clusters"), gateway.Number("replicas", 1, MostReplicas, 1), gateway.Free("service"), gateway.Free("serviceAnnotations")));
    }

    private static ClusterSpec Cluster(FieldReader cluster, string? onlyNetwork, string folder)
    {
        cluster.Only("name", "context", "network", "region", "zone", "server", "role", "primaries", "controlPlane", "certificates", "install");
        var name = Name(cluster, "name", "name the cluster, for example cluster1");
        if (cluster.Text("server") is { Length: > 0 } server && !(Uri.TryCreate(server, UriKind.Absolute, out var uri) && uri.Scheme is "https" or "http"))
            cluster.Wrong("ISM0303", cluster.At("server"), $"'{server}' is not an http(s) address",
                "specify an API server address that Pods of other clusters can reach");
        var network = onlyNetwork is not null && !cluster.Has("network") ? onlyNetwork : cluster.Required("network", "name one of spec.networks");
        return new(name, cluster.Text("context", name), network, cluster.Text("region"), cluster.Text("zone"), cluster.Text("server").TrimEnd('/'),
            Primaries(cluster, name), Host(cluster), cluster.Has("certificates") ? Resolve(folder, cluster.Text("certificates")) : "", cluster.Free("install"));
    }

    /// <summary>The role follows from the primaries, but people like to write it, so it must agree with them.</summary>
    private static ValueList<string> Primaries(FieldReader cluster, string name)
    {
        var primaries = cluster.Texts("primaries");
        switch (cluster.Text("role"))
        {
            case "remote" when primaries.IsEmpty:
                cluster.Wrong("ISM0305", cluster.At("primaries"), "is required for a remote cluster", "list the clusters whose control planes serve it");
                break;
            case "primary" when primaries.Any(primary => primary != name):
                cluster.Wrong("ISM0305", cluster.At("primaries"), $"is {string.Join(", ", primaries)}, but the role is primary",
                    "set 'role: remote', or remove the field");
                break;
            case "" or "primary" or "remote":
                break;
            case var other:
                cluster.Wrong("ISM0303", cluster.At("role"), $"'{other}' is not a valid role", "use primary or remote");
                break;
        }
        return primaries is [var only] && only == name ? [] : primaries;
    }

    private static HostSpec? Host(FieldReader cluster)
    {
        if (!cluster.Has("controlPlane")) return null;
        var host = cluster.Mapping("controlPlane").Only("cluster", "namespace");
        return new(host.Required("cluster", "name the cluster that the control plane runs in"),
            host.Has("namespace") ? Name(host, "namespace", "") : DefaultHostNamespace);
    }

    private static string Name(FieldReader owner, string field, string remedy)
    {
        var name = owner.Required(field, remedy);
        if (name.Length > 0 && (name.Length > 63 || !Dns1123().IsMatch(name)))
            owner.Wrong("ISM0306", owner.At(field), $"'{name}' is not a valid name",
                "use lower-case letters, digits and '-', starting and ending with a letter or digit, at most 63 characters");
        return name;
    }

    private static string LabelValue(FieldReader owner, string field, string remedy)
    {
        var value = owner.Required(field, remedy);
        if (value.Length > 0 && (value.Length > 63 || !Label().IsMatch(value)))
            owner.Wrong("ISM0306", owner.At(field), $"'{value}' is not a valid label value",
                "use letters, digits, '-', '_' and '.', starting and ending with a letter or digit, at most 63 characters");
        return value;
    }

    private static string Resolve(string folder, string path) => path.Length == 0 ? "" : Path.Combine(folder, path);

    [GeneratedRegex("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", RegexOptions.CultureInvariant)]
    private static partial Regex Dns1123();

    [GeneratedRegex("^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$", RegexOptions.CultureInvariant)]
    private static partial Regex Label();
}
