using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Mesh.Model;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

/// <summary>The remedies of <c>verify</c> help. A command is read from the text and applied to the facts; a row applies what is not a command.</summary>
public sealed partial class VerifyRemedyTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    private delegate ClusterFacts Edit(ClusterFacts cluster);

    /// <param name="Fault">What is wrong in c2.</param>
    /// <param name="Remedy">A part of the remedy.</param>
    /// <param name="Apply">What that does to c2; null: the remedy has a command.</param>
    private sealed record Row(string Code, Edit Fault, string Remedy, Edit? Apply = null);

    private static readonly Row[] All =
    [
        new("ISM1001", two => new("c2", "refused"), "start the cluster, or fix its entry in the kubeconfig", _ => Cluster(2)),
        new("ISM1002", two => new("c2", ""), "isthmus install -y --context=c2 --set values.global.multiCluster.clusterName=c2 --set values.global.network=c2 "
            + "--set values.global.meshID=mesh1; or leave the cluster out: isthmus verify --contexts=c1", _ => Cluster(2)),
        new("ISM1003", two => two with { ControlPlanes = Pods(false), ScaledToZero = "istiod" }, "scale deployment istiod --replicas=1"),
        new("ISM1004", two => two with { UntrustedWebhooks = ["injector"] }, "the control plane writes it", two => two with { UntrustedWebhooks = [] }),
        new("ISM1005", two => two with { Gateways = [two.Gateways[0] with { Addresses = [] }] }, "set spec.externalIPs",
            two => two with { Gateways = [two.Gateways[0] with { Addresses = ["172.18.0.2"] }] }),
        new("ISM1005", two => two with { Gateways = [two.Gateways[0] with { Addresses = [], Type = "ClusterIP" }] },
            "patch service gw -p '{\"spec\":{\"type\":\"LoadBalancer\"}}'",
            two => two with { Gateways = [two.Gateways[0] with { Addresses = ["172.18.0.2"] }] }),
        new("ISM1006", two => two with { Gateways = [two.Gateways[0] with { ReadyEndpoints = 0, ScaledToZero = "istio-system/gw" }] },
            "scale deployment gw --replicas=1"),
        new("ISM1006", two => two with
        {
            Gateways = [two.Gateways[0] with { ReadyEndpoints = 0, SelectsNothing = "app=gw", Refused = new("istio-system/gw", "quota", "raise the quota") }]
        }, "raise the quota", two => two with { Gateways = [two.Gateways[0] with { ReadyEndpoints = 1, SelectsNothing = "", Refused = null }] }),
        new("ISM1007", two => two with { Gateways = [two.Gateways[0] with { HasPort = false }] }, "add the port",
            two => two with { Gateways = [two.Gateways[0] with { HasPort = true }] }),
        new("ISM1007", two => two with { Gateways = [two.Gateways[0] with { HasPort = false, Port = 15444 }] }, "label service gw networking.istio.io/gatewayPort-",
            two => two with { Gateways = [two.Gateways[0] with { HasPort = true, Port = 15443 }] }),
        new("ISM1009", two => Remote(two) with { ControlPlaneClusters = ["south"] }, "annotate namespace istio-system"),
        new("ISM1009", two => Remote(two) with { ControlPlaneClusters = [] }, "annotate namespace istio-system topology.istio.io/controlPlaneClusters=east1"),
        new("ISM1010", two => two with { Root = new("CD34") }, "'cacerts' Secret of one root", two => two with { Root = new("AB12") }),
        new("ISM1011", two => two with { TrustDomain = "td2" }, "set the same meshConfig.trustDomain", two => two with { TrustDomain = "cluster.local" }),
        new("ISM1012", two => two with { MeshId = "mesh2" }, "set the same values.global.meshID", two => two with { MeshId = "mesh1" }),
        new("ISM1013", two => two with { NetworkLabel = "" }, "label namespace istio-system"),
        new("ISM1014", two => two with { Gateways = [] }, "gen-eastwest-gateway.sh --network n2"),
        new("ISM1014", two => two with { Gateways = [two.Gateways[0] with { Network = "n1" }] }, "label service gw topology.istio.io/network=n2 --overwrite",
            two => two with { Gateways = [two.Gateways[0] with { Network = "n2" }] }),
        new("ISM1015", two => two with { ExposesServices = false }, "expose-services.yaml"),
        new("ISM1015", two => two with
        {
            ExposesServices = false, NearlyExposing = PassingGateways.Nearest(ClusterInventory.From("c2", [(JsonObject)JsonNode.Parse("""
                {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"namespace": "istio-system", "name": "cross"},
                 "spec": {"servers": [{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]},
                  {"port": {"number": 15443, "name": "tls", "protocol": "TLS"}, "hosts": ["*.local"], "tls": {"mode": "PASSTHROUGH"}}]}}
                """)!]).Istio<Gateway>()),
        }, "set spec.servers[1].tls.mode of Gateway istio-system/cross to AUTO_PASSTHROUGH", two => two with { ExposesServices = true }),
        new("ISM1016", two => two with { Gateways = [two.Gateways[0], two.Gateways[0] with { Name = "istio-system/other", Network = "n7" }] },
            "label service other"),
        new("ISM1017", two => two with { NetworkLabel = "elsewhere" }, "label namespace istio-system"),
        new("ISM1017", two => two with { ProxyNetworks = ["n2", "n7"] }, "remove the label from their template", two => two with { ProxyNetworks = ["n2"] }),
        new("ISM1017", two => two with { ProxyNetworks = ["n7"] }, "set both to the same value", two => two with { ProxyNetworks = ["n2"] }),
        new("ISM1018", two => Remote(two) with { ControlPlaneAt = [] }, "values.global.remotePilotAddress",
            two => two with { ControlPlaneAt = ["172.18.0.1"] }),
        new("ISM1019", two => Remote(two) with { ControlPlaneAt = ["172.18.0.9"] },
            "kubectl --context=c1 apply -n istio-system -f samples/multicluster/expose-istiod.yaml"),
        new("ISM1019", two => Remote(two) with { Name = "far", ControlPlaneAt = ["172.18.0.9"] },
            "kubectl --context=c1 apply -n external-istiod -f samples/multicluster/expose-external-istiod.yaml"),
        new("ISM1020", two => two with { Watched = [new("east1", "istio-system/remote", "syncing", "rejects the token")] },
            "isthmus create-remote-secret --context=c1 --name=east1 --rotate | kubectl apply -f - --context=c2"),
        new("ISM1020", two => two with { SystemNamespace = "mesh", Watched = [new("east1", "mesh/remote", "syncing", "cannot be reached")] },
            "isthmus create-remote-secret --context=c1 --name=east1 --namespace=mesh | kubectl apply -f - --context=c2"),
        new("ISM1020", two => two with
        {
            Watched = [new("east1", "istio-system/remote", "timeout", "endpointslices is forbidden: User \"system:serviceaccount:istio-system:istio-reader-"
                + "service-account\" cannot list resource \"endpointslices\"")],
        }, "isthmus create-remote-secret --context=c1 --name=east1 --restore-permissions | kubectl apply -f - --context=c2"),
        new("ISM1020", two => two with
        {
            Watched = [new("east1", "istio-system/remote", "timeout", "endpointslices is forbidden: User \"system:serviceaccount:ops:reader\" cannot "
                + "list resource \"endpointslices\"")],
        }, "give ServiceAccount ops/reader of c1 the permission", two => two with { Watched = Cluster(2).Watched }),
        new("ISM1020", two => two with { Root = new("CD34"), Watched = [new("east1", "istio-system/remote", "synced", "its root is not ours")] },
            "give all clusters a 'cacerts' Secret of one root", two => two with { Root = new("AB12"), Watched = Cluster(2).Watched }),
        new("ISM1021", two => two with { Watched = [] }, "create-remote-secret"),
        new("ISM1022", two => two with { Watched = [new("east1", "istio-system/remote", "synced", "", "its credentials expire at 2026-06-02 00:00:00Z")] },
            "isthmus create-remote-secret --context=c1 --name=east1 --rotate | kubectl apply -f - --context=c2"),
        new("ISM1022", two => two with { Watched = [new("east1", "istio-system/remote", "synced", "", "gateway host name gw.example.com: no such host")] },
            "make the DNS of the control plane resolve the name", two => two with { Watched = Cluster(2).Watched }),
        new("ISM1023", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Expires = Now.AddHours(-1) }] }, "create-remote-secret"),
        new("ISM1024", two => two with { Name = "east1", Watched = [], RemoteSecrets = [] }, "install c2 again with another",
            two => two with { Name = "east2", Watched = Cluster(2).Watched, RemoteSecrets = Cluster(2).RemoteSecrets }),
        new("ISM1025", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "", Error = "no current-context" }] }, "create-remote-secret"),
        new("ISM1026", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Cluster = "west" }] },
            "kubectl --context=c2 -n istio-system delete secret istio-remote-secret-east1; then isthmus create-remote-secret --context=c1 --name=east1 | ",
            two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Cluster = "east1" }] }),
        new("ISM1026", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Secret = "istio-system/west", Cluster = "west" }] },
            "isthmus create-remote-secret --context=c1 --name=east1 | kubectl apply -f - --context=c2; then kubectl --context=c2 -n istio-system delete "
                + "secret west"),
        new("ISM1026", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "https://172.18.0.2:6443" }] },
            "create it again from the cluster that is meant: isthmus create-remote-secret --context=c1 --name=east1"),
        new("ISM1027", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "https://127.0.0.1:7443" }] },
            "isthmus create-remote-secret --context=c1 --name=east1 --server=https://ADDRESS:7443 | kubectl apply -f - --context=c2"),
        new("ISM1030", two => two with { PodRanges = ["10.1.0.0/16"], NetworkLabel = "n1", ProxyNetworks = ["n1"], Gateways = [] },
            "give the clusters ranges that do not overlap", two => two with { PodRanges = ["10.2.0.0/16"] }),
        new("ISM1030", two => two with { PodRanges = ["10.1.0.0/16"], NetworkLabel = "n1", ProxyNetworks = ["n1"], Gateways = [] },
            "or put them in different networks", two => two with { NetworkLabel = "n2", ProxyNetworks = ["n2"], Gateways = Cluster(2).Gateways }),
        new("ISM1033", two => two with { Dns = new("kube-system/kube-dns", 0) }, "get deployments,pods",
            two => two with { Dns = new("kube-system/kube-dns", 1) }),
        new("ISM1039", two => two with { Gateways = [two.Gateways[0] with { SeesAllNetworks = "gw-1" }] }, "ISTIO_META_REQUESTED_NETWORK_VIEW=n2",
            two => two with { Gateways = [two.Gateways[0] with { SeesAllNetworks = "" }] }),
        new("ISM1045", two => two with { Unready = [new("istio-system", "istiod-b", Now.AddMinutes(-9), "", "istiod") { LacksRights = true }] },
            "isthmus install -y --context=c2 -f FILE", two => two with { Unready = [] }),
        new("ISM1044", two => two with { Uninjected = ["shop"] }, "isthmus install -y --context=c2 -f FILE", two => two with { Uninjected = null }),
        new("ISM1041", two => two with { Gateways = [two.Gateways[0], two.Gateways[0] with { Name = "shop/web", Workload = "web-1" }] },
            "label service web topology.istio.io/network-"),
    ];

    private const string Looks = "says where to look: what is wrong there has a code of its own, or is outside the mesh",
        ByReader = "is told by what reads a cluster, of which a test applies the remedy";

    private static readonly Dictionary<string, string> Without = new()
    {
        ["ISM1032"] = Looks, ["ISM1034"] = Looks, ["ISM1037"] = Looks, ["ISM1038"] = Looks, ["ISM1040"] = Looks,
        // GatewayApiCases.
        ["ISM1042"] = ByReader,
        // MissingDefinitionsTests.
        ["ISM1046"] = ByReader,
        // MeshFaultTests, GatewayFaultTests, TraceCapacityTests and ClaimedWorkloadTests.
        ["ISM1008"] = ByReader, ["ISM1031"] = ByReader, ["ISM1035"] = ByReader, ["ISM1036"] = ByReader,
    };

    [Fact]
    public void Every_code_of_verify_has_a_row_or_a_reason()
    {
        var used = ((string[])["src/Isthmus.Operate/Diagnose", "src/Isthmus.Explain", "src/Isthmus.ControlPlane/Push", "src/Isthmus.Mesh/Resolve"])
            .SelectMany(folder => Directory.EnumerateFiles(Repository.At(folder), "*.cs", SearchOption.AllDirectories))
            .SelectMany(file => VerifyCode().Matches(File.ReadAllText(file))).Select(match => match.Groups[1].Value).Distinct();
        Assert.Empty(All.Select(row => row.Code).Intersect(Without.Keys));
        Assert.Equal(used.Order(StringComparer.Ordinal), All.Select(row => row.Code).Concat(Without.Keys).Distinct().Order(StringComparer.Ordinal));
    }

    [GeneratedRegex("\"(ISM10[0-9]{2})\"")]
    private static partial Regex VerifyCode();

    public static TheoryData<string, string> Names() => [.. All.Select(row => (row.Code, row.Remedy)).Distinct()];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_printed_remedy_ends_the_finding(string code, string remedy)
    {
        foreach (var row in All.Where(row => (row.Code, row.Remedy) == (code, remedy)))
        {
            ClusterFacts[] clusters = [Cluster(1), row.Fault(Cluster(2))];
            if (clusters[1].ControlPlaneAt.Contains("172.18.0.9")) clusters[0] = Entered(clusters[0], clusters[1].Name == "far");
            var told = Told(clusters);
            var problem = told.FirstOrDefault(problem => problem.Code == code);
            Assert.True(problem is not null, $"{code} is not told: {string.Join("; ", told)}");
            Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
            if (row.Apply is { } apply) clusters[1] = apply(clusters[1]);
            else Do(problem.Remedy, clusters);
            Assert.Empty(Told(clusters).Select(problem => $"{problem.Code} {problem}: {problem.Remedy}"));
        }
    }

    /// <summary>Whoever reads the JSON finds the Gateway where the object is.</summary>
    [Fact]
    public void The_server_that_might_expose_services_is_the_object_of_the_finding()
    {
        ClusterFacts[] clusters = [Cluster(1), Cluster(2) with
        {
            ExposesServices = false, NearlyExposing = new("Gateway istio-system/cross", "spec.servers[1].tls.mode", "PASSTHROUGH", true),
        }];
        var problem = Assert.Single(Told(clusters), problem => problem.Code == "ISM1015");
        Assert.Equal(("Gateway istio-system/cross in c2", "spec.servers[1].tls.mode"), (problem.Object, problem.Path));
        Assert.StartsWith("is PASSTHROUGH, and no Gateway exposes services of c2", problem.Message, StringComparison.Ordinal);
        // One at another port may be meant for something else, such as a control plane.
        clusters[1] = clusters[1] with { NearlyExposing = clusters[1].NearlyExposing! with { IsOfPort = false } };
        problem = Assert.Single(Told(clusters), problem => problem.Code == "ISM1015");
        Assert.Equal(("cluster c2", ""), (problem.Object, problem.Path));
        Assert.Contains("the nearest is Gateway istio-system/cross, whose spec.servers[1].tls.mode is PASSTHROUGH", problem.Message, StringComparison.Ordinal);
        clusters[1] = Cluster(2) with { ExposesServices = false };
        Assert.Equal(("cluster c2", ""), Told(clusters).Where(one => one.Code == "ISM1015").Select(one => (one.Object, one.Path)).Single());
    }

    private static List<Core.Problems.Problem> Told(ClusterFacts[] clusters) =>
        MeshVerification.Run(clusters, Now).Select(check => check.Problem).OfType<Core.Problems.Problem>().ToList();

    /// <summary>A cluster by whose gateway, which does not open the port, others reach control planes: its own, or one that serves another cluster
    /// alone.</summary>
    private static ClusterFacts Entered(ClusterFacts cluster, bool forOthers) => cluster with
    {
        ControlPlaneEntries = [new("istio-system/entry", ["172.18.0.9"], 1, false)],
        Hosted = forOthers ? [new("external-istiod", "far", Pods(true))] : [],
        Watched = forOthers ? [new("far", "istio-system/remote", "synced", "")] : cluster.Watched,
    };

    /// <summary>Does what the first command of a remedy does, in the cluster of its last <c>--context</c>.</summary>
    private static void Do(string remedy, ClusterFacts[] clusters)
    {
        var command = remedy.Split(';')[0];
        // A command is the last of a remedy, or ends before a semicolon, so that it can be copied.
        Assert.DoesNotMatch(@"--context=\S+[,.:)]", command);
        var at = Array.FindIndex(clusters, cluster => cluster.Context == Context().Matches(command)[^1].Groups[1].Value);
        var there = clusters[at];
        if (Labelled().Match(command) is { Success: true } label)
        {
            var (kind, name, network) = (label.Groups[1].Value, label.Groups[2].Value, label.Groups[3].Value);
            clusters[at] = kind == "namespace" ? there with { NetworkLabel = network }
                : there with
                {
                    Gateways = there.Gateways.Select(gateway =>
                        gateway.Name.EndsWith($"/{name}", StringComparison.Ordinal) ? gateway with { Network = network } : gateway)
                        .Where(gateway => gateway.Network.Length > 0).ToValueList(),
                };
        }
        else if (Annotated().Match(command) is { Success: true } annotation)
            clusters[at] = there with { ControlPlaneClusters = [annotation.Groups[1].Value] };
        else if (Secret().Match(command) is { Success: true } secret)
        {
            var (from, name) = (clusters.Single(cluster => cluster.Context == secret.Groups[1].Value), secret.Groups[2].Value);
            Assert.Equal(from.Name, name);
            clusters[at] = there with { Watched = [new(name, "istio-system/remote", "synced", "")], RemoteSecrets = [SecretOf(name, from.Server)] };
            Assert.Contains($" | kubectl apply -f - --context={there.Context}", command, StringComparison.Ordinal);
        }
        else if (command.Contains("expose-istiod.yaml", StringComparison.Ordinal) || command.Contains("expose-external-istiod.yaml", StringComparison.Ordinal))
            clusters[at] = there with { ControlPlaneEntries = there.ControlPlaneEntries.Select(entry => entry with { Opens = true }).ToValueList() };
        else if (command.Contains("scale deployment istiod --replicas=1", StringComparison.Ordinal))
            clusters[at] = there with { ControlPlanes = Pods(true), ScaledToZero = "" };
        else if (command.Contains("scale deployment gw --replicas=1", StringComparison.Ordinal))
            clusters[at] = there with { Gateways = [there.Gateways[0] with { ReadyEndpoints = 1, ScaledToZero = "" }] };
        else if (Installed().Match(command) is { Success: true } gateway)
            clusters[at] = there with { Gateways = [new("istio-system/gw", gateway.Groups[1].Value, ["172.18.0.2"], 1, true)] };
        else
        {
            Assert.Contains("apply -n istio-system -f samples/multicluster/expose-services.yaml", command, StringComparison.Ordinal);
            clusters[at] = there with { ExposesServices = true };
        }
    }

    private static ClusterFacts Cluster(int number) => new(
        $"c{number}", "", $"east{number}", true, Pods(true), $"n{number}", "mesh1", "cluster.local", new("AB12"),
        [new GatewayFacts("istio-system/gw", $"n{number}", [$"172.18.0.{number}"], 1, true)], true,
        [new WatchedCluster($"east{3 - number}", "istio-system/remote", "synced", "")], [])
    {
        Server = $"https://172.18.0.{number}:6443", RemoteSecrets = [SecretOf($"east{3 - number}", $"https://172.18.0.{3 - number}:6443")],
        PodRanges = [$"10.{number}.0.0/16"], ProxyNetworks = [$"n{number}"],
        ControlPlaneEntries = [new("istio-system/gw", [$"172.18.0.{number}"], 1, true)],
    };

    private static ClusterFacts Remote(ClusterFacts cluster) => cluster with
    {
        ControlPlanes = default, Watched = [], ControlPlaneClusters = ["east1"], ControlPlaneAt = ["172.18.0.1"], RemoteSecrets = [], TrustDomain = "",
        ExposesServices = false,
    };

    private static ValueMap<bool> Pods(bool ready) => new([new("istiod-1", ready)]);

    private static RemoteSecretFacts SecretOf(string cluster, string server) => new($"istio-system/istio-remote-secret-{cluster}", cluster, server, null, "");

    [GeneratedRegex(@"--context=([^\s,;]+)")]
    private static partial Regex Context();

    [GeneratedRegex(@"label (namespace|service) (\S+) topology\.istio\.io/network[=-](\S*)")]
    private static partial Regex Labelled();

    [GeneratedRegex(@"annotate namespace istio-system topology\.istio\.io/controlPlaneClusters=(\S+)")]
    private static partial Regex Annotated();

    [GeneratedRegex(@"create-remote-secret --context=(\S+) --name=(\S+)")]
    private static partial Regex Secret();

    [GeneratedRegex(@"gen-eastwest-gateway\.sh --network (\S+)")]
    private static partial Regex Installed();
}
