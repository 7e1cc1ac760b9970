using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Inventory;
using Xunit;

namespace Isthmus.Tests.Operate.Diagnose;

public sealed class MeshVerificationTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    private static RemoteSecretFacts SecretFor(string cluster, string server) => new("istio-system/istio-remote-secret-" + cluster, cluster, server, null, "");

    internal static ClusterFacts Healthy(int number, string network) => new(
        $"c{number}", "", $"east{number}", true, new ValueMap<bool>([new($"istiod-{number}", true)]), network, "mesh1", "cluster.local", new("AB12"),
        [new GatewayFacts("istio-system/gw", network, [$"172.18.0.{number}"], 1, true)], true,
        [new WatchedCluster($"east{3 - number}", "istio-system/remote", "synced", "")], [])
        {
            Server = $"https://172.18.0.{number}:6443",
            RemoteSecrets = [SecretFor($"east{3 - number}", $"https://172.18.0.{3 - number}:6443")],
            PodRanges = [$"10.{number}.0.0/16"],
            ProxyNetworks = [network],
            ControlPlaneEntries = [new("istio-system/gw", [$"172.18.0.{number}"], 1, true)],
        };

    /// <summary>c2 without its own control plane: c1's serves it.</summary>
    private static ClusterFacts Remote =>
        Healthy(2,
            "n2") with
            {
                ControlPlanes = default, Watched = [], ControlPlaneClusters = ["east1"], ControlPlaneAt = ["172.18.0.1"], RemoteSecrets = [], TrustDomain = "",
                ExposesServices = false
            };

    private static IEnumerable<string> Codes(params ClusterFacts[] clusters) =>
        MeshVerification.Run(clusters, Now).Select(check => check.Problem?.Code).OfType<string>();

    [Fact]
    public void Two_networks_with_gateways_and_mutual_secrets_are_one_mesh() => Assert.Empty(Codes(Healthy(1, "n1"), Healthy(2, "n2")));

    [Fact]
    public void One_network_needs_no_gateway()
    {
        var (one, two) = (Healthy(1, "n") with { Gateways = [], ExposesServices = false }, Healthy(2, "n") with { Gateways = [], ExposesServices = false });
        Assert.Empty(Codes(one, two));
    }

    [Fact]
    public void A_cluster_without_a_control_plane_of_its_own_is_fine_beside_one_that_has_one()
    {
        var remote = Healthy(2, "n1") with
        {
            ControlPlanes = default, Watched = [], Gateways = [], ControlPlaneAt = ["172.18.0.1"], ControlPlaneClusters = ["east1"]
        };
        Assert.Empty(Codes(Healthy(1, "n1"), remote));
        // No control plane takes care of a cluster that names none.
        Assert.Equal(["ISM1009"], Codes(Healthy(1, "n1"), remote with { ControlPlaneClusters = [] }));
    }

    /// <summary>The configuration of a control plane that runs in none of the clusters, or what an uninstall has left.</summary>
    [Fact]
    public void A_cluster_that_no_member_serves_is_not_asked_to_name_one()
    {
        var one = Healthy(1, "n1") with { Watched = [] };
        foreach (var at in (string[])["10.9.9.9", ""])
            Assert.DoesNotContain("ISM1009", Codes(one, Remote with { ControlPlaneClusters = [], ControlPlaneAt = at.Length > 0 ? [at] : [] }));
    }

    /// <summary>Of several control planes, that which serves the cluster is meant.</summary>
    [Theory]
    [InlineData("172.18.0.3", "", "east3")]
    [InlineData("10.9.9.9", "east2", "east3")]
    [InlineData("172.18.0.1", "", "east1")]
    public void The_control_plane_that_serves_a_cluster_is_to_be_named(string at, string watched, string name)
    {
        var (one, three) = (Healthy(1, "n1") with { Watched = [] },
            Healthy(3, "n3") with { Watched = watched.Length > 0 ? [new(watched, "istio-system/remote", "synced", "")] : [] });
        var remote = Remote with { ControlPlaneAt = [at] };
        foreach (var named in (ValueList<string>[])[[], ["south"]])
        {
            var problem = Assert.Single(MeshVerification.Run([one, remote with { ControlPlaneClusters = named }, three], Now),
                check => check.Problem?.Code == "ISM1009").Problem!;
            Assert.Contains($"topology.istio.io/controlPlaneClusters={name}", problem.Remedy, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void No_control_plane_without_a_name_is_proposed()
    {
        var one = Healthy(1, "n1") with { Name = "" };
        Assert.DoesNotContain("ISM1009", Codes(one, Remote with { ControlPlaneClusters = [] }));
        var problem = Assert.Single(MeshVerification.Run([one, Remote with { ControlPlaneClusters = ["south"] }], Now),
            check => check.Problem?.Code == "ISM1009").Problem!;
        Assert.DoesNotContain("controlPlaneClusters=", problem.Remedy, StringComparison.Ordinal);
    }

    /// <summary>A new cluster of a flat mesh gets its network, and a CA of its root, which an installation would not give it.</summary>
    [Theory]
    [InlineData("n", "n", "AB12", " --set values.global.network=n ", true)]
    [InlineData("n", "n", "CD34", " --set values.global.network=n ", false)]
    [InlineData("n1", "n2", "AB12", " --set values.global.network=c3 ", true)]
    [InlineData("", "", "CD34", " --set values.global.multiCluster.clusterName=c3 --set values.global.meshID=mesh1", false)]
    public void The_command_that_installs_another_cluster_takes_what_the_others_share(string one, string two, string root, string command, bool needsCa)
    {
        var problem = Assert.Single(MeshVerification.Run([Healthy(1, one), Healthy(2, two) with { Root = new(root) }, new("c3", "")], Now),
            check => check.Problem?.Code == "ISM1002").Problem!;
        Assert.Contains(command, problem.Remedy, StringComparison.Ordinal);
        Assert.Equal(needsCa, problem.Remedy.StartsWith("give c3 a Secret cacerts of the others' root first", StringComparison.Ordinal));
    }

    /// <summary>What its proxies and its namespace have already stays.</summary>
    [Fact]
    public void The_command_that_installs_a_control_plane_again_keeps_the_identity_of_the_cluster() => Assert.Equal(
        "isthmus install -y --context=C_1 --istioNamespace=mesh --set values.global.multiCluster.clusterName=east --set values.global.network=n7 --set "
            + "values.global.meshID=m", new MemberInstallation("C_1", "east", "n7", "", "mesh").Command([new("c2", "west", "n", "m", "istio-system")]));

    [Fact]
    public void What_control_planes_find_odd_is_told_as_they_tell_it()
    {
        var odd = new Core.Problems.Problem("IST0170", "Service shop/orders", "spec.ports", "port 80 is named 'web' in c2 and 'http' in c1; joined by number",
            "", Core.Problems.Severity.Warning);
        var check = Assert.Single(MeshVerification.Run([Healthy(1, "n1") with { Problems = [odd] }, Healthy(2, "n2")], Now),
            check => check.Problem is not null);
        Assert.Equal(("c1", "Service shop/orders", odd), (check.Cluster, check.Found, check.Problem));
    }

    [Theory]
    [InlineData(true, "gen-eastwest-gateway.sh --network n2")]
    [InlineData(false, "expose-services.yaml")]
    public void Remedies_of_gateways_name_the_form_of_Istio_and_that_of_the_Gateway_API(bool exposes, string istios)
    {
        var two = Healthy(2, "n2") with { ExposesServices = exposes };
        if (exposes) two = two with { Gateways = [] };
        var problem = Assert.Single(MeshVerification.Run([Healthy(1, "n1"), two], Now), check => check.Problem is not null).Problem!;
        Assert.Contains(istios, problem.Remedy, StringComparison.Ordinal);
        Assert.Contains("of class istio-east-west", problem.Remedy, StringComparison.Ordinal);
        Assert.Contains("topology.istio.io/network=n2", problem.Remedy, StringComparison.Ordinal);
    }

    public static TheoryData<string, string> Faults => new()
    {
        { "unreachable", "ISM1001" }, { "nothing installed", "ISM1002" }, { "not ready", "ISM1003" }, { "webhook", "ISM1004" }, { "no address", "ISM1005" },
        { "no endpoint", "ISM1006" }, { "no port", "ISM1007" }, { "other root", "ISM1010" }, { "other domain", "ISM1011" }, { "other mesh", "ISM1012" },
        { "no label", "ISM1013" }, { "no gateway", "ISM1014" }, { "not exposed", "ISM1015" }, { "bad token", "ISM1020" }, { "no secret", "ISM1021" },
        { "loopback server", "ISM1027" }, { "expired token", "ISM1023" }, { "same name", "ISM1024" }, { "two secrets for one", "ISM1024" },
        { "broken kubeconfig", "ISM1025" },
        { "wrong cluster behind the secret", "ISM1026" }, { "gateway of no network", "ISM1016" }, { "proxies of another network", "ISM1017" },
        { "unknown control plane", "ISM1009" },
        { "no way to the control plane", "ISM1018" }, { "control plane not exposed", "ISM1019" }, { "gateway before the control plane away", "ISM1006" },
        { "control plane elsewhere not ready", "ISM1003" },
    };

    [Theory]
    [MemberData(nameof(Faults))]
    public void Each_fault_is_named_by_its_own_code(string fault, string code)
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2"));
        var gateway = two.Gateways[0];
        two = fault switch
        {
            "unreachable" => new ClusterFacts("c2", "refused"),
            "nothing installed" => new ClusterFacts("c2", ""),
            "not ready" => two with { ControlPlanes = new ValueMap<bool>([new("istiod-2", false)]) },
            "webhook" => two with { UntrustedWebhooks = ["istio-sidecar-injector"] },
            "no address" => two with { Gateways = [gateway with { Addresses = [] }] },
            "no endpoint" => two with { Gateways = [gateway with { ReadyEndpoints = 0 }] },
            "no port" => two with { Gateways = [gateway with { HasPort = false }] },
            "other root" => two with { Root = new("CD34") },
            "other domain" => two with { TrustDomain = "td2" },
            "other mesh" => two with { MeshId = "mesh2" },
            "no label" => two with { NetworkLabel = "" },
            "no gateway" => two with { Gateways = [] },
            "not exposed" => two with { ExposesServices = false },
            "bad token" => two with { Watched = [new("east1", "istio-system/remote", "syncing", "rejects the token")] },
            "loopback server" => two with { RemoteSecrets = [SecretFor("east1", "https://127.0.0.1:6443")] },
            "expired token" => two with { RemoteSecrets = [SecretFor("east1", "https://172.18.0.1:6443") with { Expires = Now.AddHours(-1) }] },
            "same name" => two with { Name = "east1" },
            "two secrets for one" => two with
            {
                RemoteSecrets = [SecretFor("east1", "https://172.18.0.1:6443"),
                    SecretFor("east1", "https://172.18.0.1:6443") with { Secret = "istio-system/another" }]
            },
            "broken kubeconfig" => two with { RemoteSecrets = [SecretFor("east1", "") with { Error = "no current-context" }] },
            "wrong cluster behind the secret" => two with { RemoteSecrets = [SecretFor("west", "https://172.18.0.1:6443")] },
            "gateway of no network" => two with { Gateways = [gateway, gateway with { Network = "n7" }] },
            "proxies of another network" => two with { ProxyNetworks = ["n7"] },
            "unknown control plane" => two with { ControlPlanes = default, Watched = [], ControlPlaneClusters = ["south"] },
            "no way to the control plane" => Remote with { ControlPlaneAt = [] },
            "control plane not exposed" or "gateway before the control plane away" => Remote,
            "control plane elsewhere not ready" => Remote with { Name = "hosted" },
            _ => two with { Watched = [] },
        };
        var entry = one.ControlPlaneEntries[0];
        one = fault switch
        {
            "control plane not exposed" => one with { ControlPlaneEntries = [entry with { Opens = false }] },
            "gateway before the control plane away" => one with { ControlPlaneEntries = [entry with { ReadyEndpoints = 0 }] },
            "control plane elsewhere not ready" => one with { Hosted = [new("external", "hosted", new([new("istiod-9", false)]))] },
            _ => one,
        };
        var checks = MeshVerification.Run([one, two], Now);
        Assert.Contains(checks, check => check.Problem?.Code == code && check.Problem.Remedy.Length > 0);
        // An entry that is wrong is not right as well.
        Assert.Equal(one.RemoteSecrets.Count + two.RemoteSecrets.Count, checks.Count(check => check.What == "remote secret"));
    }

    /// <summary>A control plane that reads kubeconfigs from files reads no remote secrets: a new one would change nothing.</summary>
    [Fact]
    public void Credentials_in_a_file_are_named_and_renewed_as_such()
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2") with { Watched = [new("east1", "/kubeconfigs/east1.yaml", "invalid", "names no cluster")] });
        var problem = Assert.Single(MeshVerification.Run([one, two], Now), check => check.Problem?.Code == "ISM1020").Problem!;
        Assert.StartsWith("File /kubeconfigs/east1.yaml", problem.Object, StringComparison.Ordinal);
        Assert.Contains("mount a kubeconfig that works in its place", problem.Remedy, StringComparison.Ordinal);
        Assert.DoesNotContain("create-remote-secret", problem.Remedy, StringComparison.Ordinal);
        var unwatched = Assert.Single(MeshVerification.Run([one, two with { Watched = [new("south", "/kubeconfigs/south.yaml", "synced", "")] }], Now),
            check => check is { Cluster: "c2", Problem.Code: "ISM1021" }).Problem!;
        Assert.Equal(
            "mount a kubeconfig of it beside /kubeconfigs/south.yaml: this control plane reads files (PILOT_MULTICLUSTER_KUBECONFIG_PATH), and no remote "
                + "secrets",
            unwatched.Remedy);
    }

    [Fact]
    public void While_roots_change_a_bundle_with_both_is_trusted_by_either_side()
    {
        var both = Healthy(2, "n2") with { Root = new("AB12+CD34") };
        Assert.Empty(Codes(Healthy(1, "n1"), both));
        Assert.Equal(["ISM1010"], Codes(Healthy(1, "n1") with { Root = new("EF56") }, both));
    }

    [Fact]
    public void Ranges_may_overlap_between_networks_and_not_inside_one()
    {
        var (one, two) = (Healthy(1, "n1") with { PodRanges = ["10.244.0.0/16"] }, Healthy(2, "n2") with { PodRanges = ["10.244.128.0/24"] });
        Assert.Empty(Codes(one, two));
        Assert.Equal(["ISM1030"], Codes(one, two with { NetworkLabel = "n1", ProxyNetworks = ["n1"], Gateways = [] }));
    }

    /// <summary>Both ends of a call show an identity, so that each must accept that of the other.</summary>
    [Theory]
    [InlineData("td1", "td2", "ISM1011")]
    [InlineData("td2", "", "ISM1011")]
    [InlineData("td2", "td1", null)]
    public void Trust_domains_may_differ_where_each_is_an_alias_of_the_other(string inOne, string inTwo, string? code)
    {
        var one = Healthy(1, "n1") with { TrustDomain = "td1", TrustDomainAliases = [inOne] };
        var two = Healthy(2, "n2") with { TrustDomain = "td2", TrustDomainAliases = [inTwo] };
        Assert.Equal(code is null ? [] : [code], Codes(one, two));
    }

    [Theory]
    [InlineData("n2", "data.mesh.enableAutoMtls")]
    [InlineData("n1", null)]
    public void Plain_text_between_networks_is_a_warning(string network, string? path)
    {
        var checks = MeshVerification.Run([Healthy(1, "n1") with { WithoutAutoMtls = "ConfigMap istio-system/istio" }, Healthy(2, network)], Now);
        Assert.Equal(path, checks.Select(check => check.Problem).FirstOrDefault(problem => problem?.Code == "ISM1541")?.Path);
    }

    [Fact]
    public void A_remote_cluster_is_shown_with_its_primary()
    {
        var checks = MeshVerification.Run([Healthy(1, "n1"), Remote], Now);
        Assert.DoesNotContain(checks, check => check.Problem is not null);
        Assert.Contains(checks, check => check is { Cluster: "c2", Found: "remote, of c1" });
    }

    [Fact]
    public void A_cluster_with_a_control_plane_of_its_own_elsewhere_is_a_mesh_of_its_own()
    {
        var host = Healthy(1,
            "n1") with
            {
                Watched = [],
                Hosted = [new("external", "hosted",
                    new([new("istiod-9", true)])) { RemoteSecrets = [new("external/istio-kubeconfig", "hosted", "https://172.18.0.2:6443", null, "")] }]
            };
        var hosted = Remote with
        {
            Name = "hosted", SystemNamespace = "external", MeshId = "mesh2", Root = new("CD34"), NetworkLabel = "", ProxyNetworks = [], Gateways = [],
            ControlPlaneClusters = []
        };
        Assert.Empty(Codes(host, hosted));
        Assert.Equal(2, MeshVerification.CountMeshes([host, hosted]));
        // A cluster that only runs control planes of others.
        Assert.Empty(Codes(new ClusterFacts("c1", "") { Hosted = host.Hosted, ControlPlaneEntries = host.ControlPlaneEntries }, hosted));
    }

    [Fact]
    public void A_control_plane_that_is_asked_for_where_none_runs_is_said_to_be_where_it_is()
    {
        string Told(ClusterFacts asked, params ClusterFacts[] others) =>
            NoControlPlane.Of(asked, "istio-system", others, "proxy-status").ToString();
        Assert.Equal(
            "namespace istio-system in c2: has no control plane: it runs in c1, where proxies reach it at 172.18.0.1 (query it there: isthmus proxy-status "
                + "--context=c1)",
            Told(Remote, Healthy(1, "n1")));
        // The older form names no control plane; the address leads to it.
        Assert.Contains("isthmus proxy-status --context=c1", Told(Remote with { ControlPlaneClusters = [] }, Healthy(1, "n1")));
        var host = Healthy(1, "n1") with { Hosted = [new("external", "hosted", new([new("istiod-9", true)]))] };
        var hosted = Remote with { Name = "hosted", SystemNamespace = "external", ControlPlaneClusters = [] };
        Assert.Contains("isthmus proxy-status --context=c1 --istioNamespace=external", Told(hosted, host));
        // A second cluster of an external control plane names the first, which has no control plane either.
        Assert.Contains("--context=c1 --istioNamespace=external",
            Told(Remote with { Context = "c3", Name = "east3", ControlPlaneClusters = ["hosted"] }, hosted, host));
        Assert.Contains(
            "has no control plane of its own; that of hosted runs in namespace external (ask it: isthmus proxy-status --context=c1 --istioNamespace=external)",
            Told(new ClusterFacts("c1", "") { Hosted = host.Hosted }));
        Assert.Contains("it runs in namespace istio-system (query it there: isthmus proxy-status --context=c1)",
            NoControlPlane.Of(Healthy(1, "n1"), "other", [], "proxy-status").ToString());
    }

    /// <summary>No cluster of the kubeconfig has the name: a command cannot name its context.</summary>
    [Fact]
    public void A_remedy_says_what_to_write_for_a_context_that_is_not_known()
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2") with { Watched = [new("gone", "istio-system/gone", "timeout", "no answer")] });
        var problem = Assert.Single(MeshVerification.Run([one, two], Now), check => check.Problem?.Code == "ISM1020").Problem!;
        Assert.Contains("--context=CONTEXT --name=gone", problem.Remedy, StringComparison.Ordinal);
        Assert.EndsWith("; CONTEXT is the context of cluster gone", problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_control_plane_elsewhere_that_cannot_be_asked_is_no_reason_to_install_another()
    {
        var told = NoControlPlane.Of(Remote, "istio-system", [new ClusterFacts("c1", "refused")], "remote-clusters").ToString();
        Assert.Equal(
            "namespace istio-system in c2: has no control plane: it runs elsewhere, in cluster east1, where proxies reach it at 172.18.0.1 (query it there: "
                + "isthmus remote-clusters --context=c1)",
            told);
        Assert.Contains("add the cluster of the control plane to the kubeconfig: none of its contexts has that control plane",
            NoControlPlane.Of(Remote, "istio-system", [], "remote-clusters").ToString(), StringComparison.Ordinal);
        Assert.Contains("isthmus install",
            NoControlPlane.Of(new ClusterFacts("c2", ""), "istio-system", [Healthy(1, "n1")], "proxy-status").ToString());
    }

    [Theory]
    [InlineData("memory", "refused", "east2 unreachable")]
    [InlineData("live", "has another root", "east2 synced, with a problem")]
    [InlineData("live", "", "east2 synced")]
    public void A_watched_cluster_is_not_called_synced_and_failed_at_once(string source, string message, string found)
    {
        var one = Healthy(1, "n1") with { Watched = [new("east2", "istio-system/remote", "synced", message, Source: source)] };
        var check = Assert.Single(MeshVerification.Run([one, Healthy(2, "n2")], Now), check => check is { Cluster: "c1", What: "remote cluster" });
        Assert.Equal((found, message.Length > 0), (check.Found, check.Problem is not null));
    }

    [Fact]
    public void One_mistake_is_told_once_with_the_command_that_takes_it_back()
    {
        var mislabelled = Healthy(2, "n2") with { NetworkLabel = "elsewhere" };
        var told = Assert.Single(MeshVerification.Run([Healthy(1, "n1"), mislabelled], Now), check => check.Problem is not null).Problem!;
        Assert.Equal(("ISM1017", "kubectl --context=c2 label namespace istio-system topology.istio.io/network=n2 --overwrite"), (told.Code, told.Remedy));
        var unlabelled = Assert.Single(MeshVerification.Run([Healthy(1, "n1"), mislabelled with { NetworkLabel = "" }], Now),
            check => check.Problem is not null).Problem!;
        Assert.Equal(("ISM1013", told.Remedy), (unlabelled.Code, unlabelled.Remedy));
        // Two clusters with one name: the reports about their secrets and watches follow from that.
        Assert.Equal(["ISM1024"], Codes(Healthy(1, "n1"), Healthy(2, "n2") with { Name = "east1", Watched = [], RemoteSecrets = [] }));
    }

    [Fact]
    public void Clusters_that_are_joined_by_names_need_not_know_each_other()
    {
        ClusterFacts ByName(int number) =>
            Healthy(number,
                "") with
                {
                    Name = "Kubernetes", Watched = [], RemoteSecrets = [], PodRanges = ["10.244.0.0/16"], IsJoinedByNames = true, ProxyNetworks = [],
                    ExposesServices = false
                };
        Assert.Empty(Codes(ByName(1), ByName(2)));
        Assert.Equal(["ISM1010"], Codes(ByName(1), ByName(2) with { Root = new("CD34") }));
    }

    [Theory]
    [InlineData("e30.eyJleHAiOjE3ODAyNzIwMDB9.x", 1780272000)]
    [InlineData("e30.eyJzdWIiOiJhIn0.x", 0)]
    [InlineData("opaque", 0)]
    [InlineData("a.!!!.c", 0)]
    [InlineData("e30.eyJleHAiOjEsImV4cCI6Mn0.x", 0)] // {"exp":1,"exp":2}
    [InlineData("e30.eyJleHAiOiJuZXZlciJ9.x", 0)]
    public void The_end_of_a_token_is_read_where_it_has_one(string token, long expected) =>
        Assert.Equal(expected == 0 ? null : DateTimeOffset.FromUnixTimeSeconds(expected), CredentialLifetime.OfToken(token)?.Expires);

    [Fact]
    public void A_control_plane_without_replicas_is_named_with_the_command_that_starts_it()
    {
        var down = new ValueMap<bool>([new("istiod", false)]);
        var own = MeshVerification.Run([Healthy(1, "n1"), Healthy(2, "n2") with { ControlPlanes = down, ScaledToZero = "istiod" }], Now)
            .Single(check => check.Problem?.Code == "ISM1003").Problem!;
        Assert.Equal(("Deployment istio-system/istiod in c2", "spec.replicas is 0, so no control plane runs",
            "kubectl --context=c2 -n istio-system scale deployment istiod --replicas=1"),
            (own.Object, own.Message, own.Remedy));
        var hosted = MeshVerification.Run([Healthy(1, "n1") with { Hosted = [new("external", "hosted", down) { ScaledToZero = "istiod" }] },
            Remote with { Name = "hosted" }],
            Now)
            .Single(check => check.Problem?.Code == "ISM1003").Problem!;
        Assert.Equal(("Deployment external/istiod in c2", "spec.replicas is 0, so no control plane runs in c1",
            "kubectl --context=c1 -n external scale deployment istiod --replicas=1"),
            (hosted.Object, hosted.Message, hosted.Remedy));
    }

    [Fact]
    public void A_gateway_that_is_ready_and_cannot_be_reached_is_named_and_one_that_nobody_could_try_is_unknown()
    {
        var (one, two) = (Healthy(1, "n1"), Healthy(2, "n2"));
        Assert.Equal([("c1", "c2", "172.18.0.2"), ("c2", "c1", "172.18.0.1")],
            GatewayReachReader.Wanted([one, two]).Select(wanted => (wanted.From.Context, wanted.To.Context, wanted.Address)));
        Assert.Empty(GatewayReachReader.Wanted([Healthy(1, "n"), Healthy(2, "n")]));
        // A gateway without a Gateway object opens no port, and another check says so. A remote cluster has that of its primary.
        Assert.Equal("c1", Assert.Single(GatewayReachReader.Wanted([one, two with { ExposesServices = false }])).To.Context);
        Assert.Equal(2, GatewayReachReader.Wanted([one, Remote]).Count());
        var tried = new GatewayReach("c1", "gw-1", "c2", "istio-system/gw", "172.18.0.2:15443", "", true);
        Assert.Equal([(null, true), ("ISM1034", true), (null, false)],
            GatewayReachReader.Checks([tried, tried with { Error = "no answer within 1.5 s" }, tried with { Error = "no proxy can be asked", IsKnown = false }])
                .Select(check => (check.Problem?.Code, check.IsKnown)));
        var refused = GatewayReachReader.Checks([tried with { Error = "Connection refused" }]).Single().Problem!;
        Assert.DoesNotContain("firewalls", refused.Remedy, StringComparison.Ordinal);
        Assert.Contains("isthmus proxy-config listeners deployment/gw.istio-system --context=c2", refused.Remedy, StringComparison.Ordinal);
        Assert.Equal("status.loadBalancer.ingress", refused.Path);
        Assert.StartsWith("has 172.18.0.2, and its gateway is ready, but Pod gw-1 in c1 does not reach it", refused.Message, StringComparison.Ordinal);
        var given = GatewayReachReader.Checks([tried with { Error = "Network is unreachable", IsGiven = true }]).Single().Problem!;
        Assert.Equal("spec.externalIPs", given.Path);
        Assert.StartsWith("correct spec.externalIPs, or remove the address there", given.Remedy, StringComparison.Ordinal);
        var astray = GatewayReachReader.Checks([tried with { Error = "Connection refused",
            Astray = new("istio=in", "in-1", "istio-system/cross", "east-1", new([KeyValuePair.Create("istio", "east")])) }]).Single().Problem!;
        Assert.Equal(("ISM1034", "Service istio-system/gw in c2", "spec.selector"), (astray.Code, astray.Object, astray.Path));
        Assert.StartsWith("is istio=in, and selects Pod in-1, which no Gateway with tls.mode AUTO_PASSTHROUGH selects, while Pod east-1", astray.Message,
            StringComparison.Ordinal);
        Assert.Equal("kubectl --context=c2 -n istio-system patch service gw --type=json "
            + "-p '[{\"op\":\"replace\",\"path\":\"/spec/selector\",\"value\":{\"istio\":\"east\"}}]'", astray.Remedy);
    }

    [Fact]
    public void A_Service_of_workloads_with_the_label_of_a_network_is_no_gateway()
    {
        var labelled = Healthy(2, "n2") with { Gateways = [new GatewayFacts("shop/web", "n2", ["172.18.0.9"], 1, true) { Workload = "web-1" }] };
        var told = Assert.Single(MeshVerification.Run([Healthy(1, "n1"), labelled], Now).Select(check => check.Problem).OfType<Core.Problems.Problem>());
        Assert.Equal(("ISM1041", "Service shop/web in c2"), (told.Code, told.Object));
        Assert.EndsWith("-n shop label service web topology.istio.io/network-", told.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void A_gateway_that_gives_calls_on_to_other_networks_is_a_warning()
    {
        var wanders = Healthy(2, "n2") with { Gateways = [new GatewayFacts("istio-system/gw", "n2", ["172.18.0.2"], 1, true) { SeesAllNetworks = "gw-1" }] };
        var told = Assert.Single(MeshVerification.Run([Healthy(1, "n1"), wanders], Now).Select(check => check.Problem).OfType<Core.Problems.Problem>());
        Assert.Equal(("ISM1039", "Pod istio-system/gw-1 in c2", Core.Problems.Severity.Warning), (told.Code, told.Object, told.Severity));
        // With one network, there is nowhere else to go.
        Assert.DoesNotContain(MeshVerification.Run([Healthy(1, "n2"), wanders], Now), check => check.Problem?.Code == "ISM1039");
    }

    [Fact]
    public void What_two_control_planes_report_alike_is_told_once()
    {
        var odd = new Core.Problems.Problem("IST0170", "Service shop/orders", "spec.ports", "port 80 is missing in c2", "", Core.Problems.Severity.Warning);
        Assert.Single(MeshVerification.Run([Healthy(1, "n1") with { Problems = [odd] }, Healthy(2, "n2") with { Problems = [odd] }], Now),
            check => check.Problem is not null);
    }
}
