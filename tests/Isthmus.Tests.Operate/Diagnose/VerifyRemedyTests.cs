using System.Text.RegularExpressions;
using Isthmus.Core.Collections;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
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
        new("ISM1003", two => two with { ControlPlanes = Pods(false), ScaledToZero = "istiod" }, "scale deployment istiod --replicas=1"),
        new("ISM1004", two => two with { UntrustedWebhooks = ["injector"] }, "the control plane writes it", two => two with { UntrustedWebhooks = [] }),
        new("ISM1005", two => two with { Gateways = [two.Gateways[0] with { Addresses = [] }] }, "set spec.externalIPs",
            two => two with { Gateways = [two.Gateways[0] with { Addresses = ["172.18.0.2"] }] }),
        new("ISM1006", two => two with { Gateways = [two.Gateways[0] with { ReadyEndpoints = 0, ScaledToZero = "istio-system/gw" }] },
            "scale deployment gw --replicas=1"),
        new("ISM1007", two => two with { Gateways = [two.Gateways[0] with { HasPort = false }] }, "add the port",
            two => two with { Gateways = [two.Gateways[0] with { HasPort = true }] }),
        new("ISM1009", two => Remote(two) with { ControlPlaneClusters = ["south"] }, "annotate namespace istio-system"),
        new("ISM1010", two => two with { Root = new("CD34") }, "'cacerts' Secret of one root", two => two with { Root = new("AB12") }),
        new("ISM1011", two => two with { TrustDomain = "td2" }, "set the same meshConfig.trustDomain", two => two with { TrustDomain = "cluster.local" }),
        new("ISM1012", two => two with { MeshId = "mesh2" }, "set the same values.global.meshID", two => two with { MeshId = "mesh1" }),
        new("ISM1013", two => two with { NetworkLabel = "" }, "label namespace istio-system"),
        new("ISM1014", two => two with { Gateways = [] }, "gen-eastwest-gateway.sh --network n2"),
        new("ISM1015", two => two with { ExposesServices = false }, "expose-services.yaml"),
        new("ISM1016", two => two with { Gateways = [two.Gateways[0], two.Gateways[0] with { Name = "istio-system/other", Network = "n7" }] },
            "label service other"),
        new("ISM1017", two => two with { NetworkLabel = "elsewhere" }, "label namespace istio-system"),
        new("ISM1017", two => two with { ProxyNetworks = ["n7"] }, "set both to the same value", two => two with { ProxyNetworks = ["n2"] }),
        new("ISM1018", two => Remote(two) with { ControlPlaneAt = [] }, "values.global.remotePilotAddress",
            two => two with { ControlPlaneAt = ["172.18.0.1"] }),
        new("ISM1020", two => two with { Watched = [new("east1", "istio-system/remote", "syncing", "rejects the token")] }, "create-remote-secret"),
        new("ISM1021", two => two with { Watched = [] }, "create-remote-secret"),
        new("ISM1023", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Expires = Now.AddHours(-1) }] }, "create-remote-secret"),
        new("ISM1024", two => two with { Name = "east1", Watched = [], RemoteSecrets = [] }, "install c2 again with another",
            two => two with { Name = "east2", Watched = Cluster(2).Watched, RemoteSecrets = Cluster(2).RemoteSecrets }),
        new("ISM1025", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "", Error = "no current-context" }] }, "create-remote-secret"),
        new("ISM1026", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Cluster = "west" }] }, "create it again with --name=east1",
            two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Cluster = "east1" }] }),
        new("ISM1027", two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "https://127.0.0.1:6443" }] }, "--server=https://ADDRESS:6443",
            two => two with { RemoteSecrets = [two.RemoteSecrets[0] with { Server = "https://172.18.0.1:6443" }] }),
        new("ISM1030", two => two with { PodRanges = ["10.1.0.0/16"], NetworkLabel = "n1", ProxyNetworks = ["n1"], Gateways = [] },
            "give the clusters ranges that do not overlap", two => two with { PodRanges = ["10.2.0.0/16"] }),
        new("ISM1030", two => two with { PodRanges = ["10.1.0.0/16"], NetworkLabel = "n1", ProxyNetworks = ["n1"], Gateways = [] },
            "or put them in different networks", two => two with { NetworkLabel = "n2", ProxyNetworks = ["n2"], Gateways = Cluster(2).Gateways }),
        new("ISM1033", two => two with { Dns = new("kube-system/kube-dns", 0) }, "get deployments,pods",
            two => two with { Dns = new("kube-system/kube-dns", 1) }),
        new("ISM1039", two => two with { Gateways = [two.Gateways[0] with { SeesAllNetworks = "gw-1" }] }, "ISTIO_META_REQUESTED_NETWORK_VIEW=n2",
            two => two with { Gateways = [two.Gateways[0] with { SeesAllNetworks = "" }] }),
        new("ISM1041", two => two with { Gateways = [two.Gateways[0], two.Gateways[0] with { Name = "shop/web", Workload = "web-1" }] },
            "label service web topology.istio.io/network-"),
    ];

    public static TheoryData<string, string> Names() => [.. All.Select(row => (row.Code, row.Remedy)).Distinct()];

    [Theory]
    [MemberData(nameof(Names))]
    public void The_printed_remedy_ends_the_finding(string code, string remedy)
    {
        foreach (var row in All.Where(row => (row.Code, row.Remedy) == (code, remedy)))
        {
            ClusterFacts[] clusters = [Cluster(1), row.Fault(Cluster(2))];
            var told = Told(clusters);
            var problem = told.FirstOrDefault(problem => problem.Code == code);
            Assert.True(problem is not null, $"{code} is not told: {string.Join("; ", told)}");
            Assert.Contains(remedy, problem.Remedy, StringComparison.Ordinal);
            if (row.Apply is { } apply) clusters[1] = apply(clusters[1]);
            else Do(problem.Remedy, clusters);
            Assert.Empty(Told(clusters).Select(problem => $"{problem.Code} {problem}: {problem.Remedy}"));
        }
    }

    private static List<Core.Problems.Problem> Told(ClusterFacts[] clusters) =>
        MeshVerification.Run(clusters, Now).Select(check => check.Problem).OfType<Core.Problems.Problem>().ToList();

    /// <summary>Does what the first command of a remedy does, in the cluster of its last <c>--context</c>.</summary>
    private static void Do(string remedy, ClusterFacts[] clusters)
    {
        var command = remedy.Split(';')[0];
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
        }
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
