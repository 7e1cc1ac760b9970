using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Diagnose.Analysis;
using Isthmus.Operate.Inventory;
using Xunit;
using static Isthmus.Tests.Operate.Diagnose.Analysis.MeshText;

namespace Isthmus.Tests.Operate.Diagnose.Analysis;

/// <summary>Remote secrets that a control plane cannot use, or takes for another cluster's.</summary>
public sealed class RemoteSecretsTests
{
    private const string Server1 = "https://192.0.2.1:6443", Server2 = "https://192.0.2.2:6443";

    [Fact]
    public void Entries_that_lead_to_the_cluster_of_their_name_are_right() => Assert.Empty(Check(Entry("two", Server2)));

    [Fact]
    public void An_entry_that_cannot_be_used_is_named_with_the_reason()
    {
        var finding = Assert.Single(Check(Entry("two", "", "is not a kubeconfig")));
        Assert.Equal(("ISM1025", "c1", "Secret istio-system/two", "data[two]", Severity.Error),
            (finding.Problem.Code, finding.Cluster, finding.Problem.Object, finding.Problem.Path, finding.Problem.Severity));
        Assert.Contains("is not a kubeconfig", finding.Problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("isthmus create-remote-secret --context=c2 --name=two", finding.Problem.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void An_entry_that_leads_elsewhere_is_named()
    {
        Assert.Equal("ISM1027", Assert.Single(Check(Entry("two", "https://127.0.0.1:6443"))).Problem.Code);
        var finding = Assert.Single(Check(Entry("tow", Server2)));
        Assert.Equal("ISM1026", finding.Problem.Code);
        Assert.Contains("that one calls itself two", finding.Problem.Message, StringComparison.Ordinal);
        var twice = Assert.Single(Check(Entry("two", Server2), Entry("two", Server2) with { Secret = "istio-system/zwei" }));
        Assert.Equal(("ISM1024", "Secret istio-system/zwei"), (twice.Problem.Code, twice.Problem.Object));
    }

    /// <summary>As after an installation with the file of another cluster. The Secret is right, and so are the templates of Pods, to which the injector gives
    /// the label of the network.</summary>
    [Fact]
    public void Two_clusters_with_one_name_are_named_and_not_what_follows_from_it()
    {
        var pod = Clusters(Join(MeshText.Root, Service("shop", "gw", "app: gw").Replace("namespace: shop }",
                "namespace: shop, labels: {topology.istio.io/network: network2} }", StringComparison.Ordinal),
            MeshText.Pod("shop", "web-1", "app: web, topology.istio.io/network: network1")))[0].AllObjects;
        var two = Cluster("c2", "one", Server2).With([.. pod.Where(one => one["kind"]?.ToString() != "Namespace"),
            (System.Text.Json.Nodes.JsonObject)Isthmus.Kubernetes.Yaml.YamlText.Parse(
                MeshText.Root.Replace("network1", "network2", StringComparison.Ordinal), "root")!]).WithRemoteSecrets([Entry("one", Server1)], Server2);
        var one = Cluster("c1", "one", Server1);
        var found = Isthmus.Operate.Diagnose.Analysis.Analysis.Run([one.WithRemoteSecrets([Entry("two", Server2)], Server1), two])
            .Where(finding => finding.Problem.Code is "ISM1024" or "ISM1475" or "ISM1481").ToList();
        Assert.Equal([("c2", "ISM1024", "cluster c2")], found.Select(finding => (finding.Cluster, finding.Problem.Code, finding.Problem.Object)));
        Assert.Contains("that of c1 calls its own cluster so", found[0].Problem.Message, StringComparison.Ordinal);
        // Nobody has joined these.
        Assert.DoesNotContain(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([one, Cluster("c2", "one", Server2)]),
            finding => finding.Problem.Code == "ISM1024");
    }

    /// <summary>Its address is none that a kubeconfig has, and its control plane says which cluster answers there.</summary>
    [Theory]
    [InlineData("uid-one", "names cluster two, and its credentials lead to c1, which is cluster one: Namespace kube-system has the UID uid-one there")]
    [InlineData("uid-three", "lead to a cluster that is not among these contexts")]
    [InlineData("uid-two", "")]
    [InlineData("", "")]
    public void Credentials_of_another_cluster_are_told_by_what_answers(string uid, string says)
    {
        var findings = Check(Entry("two", "https://balancer.example.com") with { Uid = uid }).ToList();
        Assert.Equal(says.Length == 0, findings.Count == 0);
        if (says.Length == 0) return;
        Assert.Equal(("ISM1026", "Secret istio-system/two"), (findings[0].Problem.Code, findings[0].Problem.Object));
        Assert.Contains(says, findings[0].Problem.Message, StringComparison.Ordinal);
        Assert.StartsWith("isthmus create-remote-secret --context=c2 --name=two | kubectl apply -f - --context=c1", findings[0].Problem.Remedy,
            StringComparison.Ordinal);
    }

    /// <summary>The same of what a control plane watches, by a Secret or a file.</summary>
    [Theory]
    [InlineData("u1", "istio-system/remote", "names cluster east2, and its credentials lead to c1, which is cluster east1: Namespace kube-system has",
        "isthmus create-remote-secret --context=c2 --name=east2 | kubectl apply -f - --context=c1")]
    [InlineData("u9", "/etc/remotes/east2", "lead to a cluster that is not among these contexts", "mount a kubeconfig of c2 in its place")]
    [InlineData("u2", "istio-system/remote", "", "")]
    [InlineData("", "istio-system/remote", "", "")]
    public void A_cluster_that_is_watched_under_the_name_of_another_is_told(string uid, string place, string says, string remedy)
    {
        var problem = RemoteSecretFaults.Astray("c1", "istio-system", new("east2", place, "synced", "") { Uid = uid },
            [new("c1", "east1", "", "u1"), new("c2", "east2", "", "u2")]);
        Assert.Equal(says.Length > 0 ? "ISM1026" : null, problem?.Code);
        Assert.Contains(says, problem?.Message ?? "", StringComparison.Ordinal);
        Assert.Equal(remedy, problem?.Remedy ?? "");
    }

    /// <summary>It does no harm, but somebody meant another cluster.</summary>
    [Fact]
    public void An_entry_for_the_own_cluster_is_information()
    {
        var finding = Assert.Single(Check(Entry("one", Server1)));
        Assert.Equal(("ISM1475", Severity.Info), (finding.Problem.Code, finding.Problem.Severity));
        // Nobody reads it, so it need not work.
        Assert.Equal("ISM1475", Assert.Single(Check(Entry("one", "https://127.0.0.1:6443"))).Problem.Code);
    }

    /// <summary>A Secret in a file is judged as it would be in the cluster, where it replaces the one of its name.</summary>
    [Theory]
    [InlineData("apiVersion: v1, kind: Config", "ISM1025")]
    [InlineData("no kubeconfig", "ISM1025")]
    [InlineData("users: [{name: u, user: {tokenFile: /etc/passwd} }]", "ISM1025")]
    [InlineData(
        "current-context: c, contexts: [{name: c, context: {cluster: c, user: u} }], clusters: [{name: c, cluster: {server: 'https://localhost:6443'} }], "
            + "users: [{name: u, user: {token: t} }]", "ISM1027")]
    public void A_Secret_of_a_file_is_checked(string kubeconfig, string code)
    {
        var path = Path.GetTempFileName() + ".yaml";
        try
        {
            File.WriteAllText(path,
                $$"""{apiVersion: v1, kind: Secret, metadata: {name: two, namespace: istio-system, labels: {istio/multiCluster: 'true'} }, stringData: {two: "{ {{kubeconfig}} }"} }""");
            var files = ManifestFiles.Read([path], recursive: false, "default", TextReader.Null);
            foreach (var cluster in (ClusterInventory[])[files.Alone("istio-system"),
                files.AppliedTo(Cluster("c1", "one", Server1).WithRemoteSecrets([Entry("two", Server2)], Server1))])
            {
                var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster]));
                Assert.Equal((code, "Secret istio-system/two"), (finding.Problem.Code, finding.Problem.Object));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("istio-remote-secret-two", null, null, "two")]
    [InlineData("other", "two", "false", "two")]
    [InlineData("other", null, null, null)]
    [InlineData("istio-remote-secret-two", null, "true", null)]
    [InlineData("istio-kubeconfig", "two", null, null)]
    public void A_remote_secret_without_its_label_is_known_by_its_annotation_or_name(string name, string? annotation, string? label, string? cluster)
    {
        var secret = new Isthmus.Kubernetes.Objects.PartialObject { Metadata = new() { Name = name, Namespace = "istio-system" } };
        if (annotation is not null) secret.Metadata.Annotations["networking.istio.io/cluster"] = annotation;
        if (label is not null) secret.Metadata.Labels["istio/multiCluster"] = label;
        Assert.Equal(cluster, UnlabelledSecret.Of(secret).SingleOrDefault()?.Cluster);
    }

    [Fact]
    public void A_remote_secret_without_its_label_is_found_unless_another_is_in_its_place()
    {
        var one = Cluster("c1", "one", Server1).WithUnlabelledSecrets([new("istio-system/istio-remote-secret-two", "two", "")]);
        var finding = Assert.Single(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([one, Cluster("c2", "two", Server2)]));
        Assert.Equal(("ISM1507", "Secret istio-system/istio-remote-secret-two", "metadata.labels[istio/multiCluster]"),
            (finding.Problem.Code, finding.Problem.Object, finding.Problem.Path));
        Assert.Empty(Isthmus.Operate.Diagnose.Analysis.Analysis.Run([one.WithRemoteSecrets([Entry("two", Server2)], Server1), Cluster("c2", "two", Server2)]));
        Assert.Empty(Isthmus.Operate.Diagnose.Analysis.Analysis.Run(
            [Cluster("c1", "one", Server1).WithUnlabelledSecrets([new("istio-system/istio-remote-secret-one", "one", "")])]));
    }

    [Theory]
    [InlineData("shop", "two", true)]
    [InlineData("istio-system", "two", false)]
    // Its own control plane does not read itself.
    [InlineData("shop", "one", false)]
    public void A_remote_secret_where_no_control_plane_looks_is_found_unless_another_is_in_its_place(string ns, string cluster, bool isFound)
    {
        var one = Cluster("c1", "one", Server1).With((System.Text.Json.Nodes.JsonObject)Isthmus.Kubernetes.Yaml.YamlText.Parse(
            Deployment("istio-system", "istiod", "app: istiod"), "istiod")!.AsObject().DeepClone());
        one.AllObjects.First(item => item["kind"]!.ToString() == "Deployment")["metadata"]!["labels"] =
            new System.Text.Json.Nodes.JsonObject { ["app"] = "istiod" };
        var lost = one.WithUnlabelledSecrets([], [new(ns, "istio-remote-secret-two", cluster)]);
        IReadOnlyList<Finding> Found(ClusterInventory first) => [.. Isthmus.Operate.Diagnose.Analysis.Analysis.Run([first, Cluster("c2", "two", Server2)])
            .Where(finding => finding.Problem.Code == "ISM1514")];
        Assert.Equal(isFound, Found(lost).Count == 1);
        Assert.Empty(Found(lost.WithRemoteSecrets([Entry("two", Server2)], Server1)));
        Assert.Empty(Found(lost.WithoutRemoteSecrets(Server1)));
        if (!isFound) return;
        Assert.Equal(("Secret shop/istio-remote-secret-two", "metadata.namespace"), (Found(lost)[0].Problem.Object, Found(lost)[0].Problem.Path));
        Assert.Contains("create the Secret in namespace istio-system", Found(lost)[0].Problem.Remedy, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("istio-remote-secret-two", null, "true", "two")]
    [InlineData("other", "two", "true", "two")]
    [InlineData("other", null, "true", null)]
    [InlineData("istio-remote-secret-two", null, null, null)]
    public void A_remote_secret_elsewhere_is_known_by_its_label(string name, string? annotation, string? label, string? cluster)
    {
        var secret = new Isthmus.Kubernetes.Objects.PartialObject { Metadata = new() { Name = name, Namespace = "shop" } };
        if (annotation is not null) secret.Metadata.Annotations["networking.istio.io/cluster"] = annotation;
        if (label is not null) secret.Metadata.Labels["istio/multiCluster"] = label;
        Assert.Equal(cluster, MisplacedSecret.Of(secret).SingleOrDefault()?.Cluster);
    }

    /// <summary>Of a cluster that control planes read and nobody else was asked to read, nothing is said to be missing.</summary>
    [Fact]
    public void A_cluster_that_was_left_out_is_told_and_may_have_what_others_lack()
    {
        var one = ClusterInventory.From("c1", Cluster("c1", "one", Server1).AllObjects.Concat(Clusters(Join(Namespace("shop"),
            Service("shop", "web", "app: web"), Pod("shop", "web-1", "app: web"),
            Istio("DestinationRule", "shop", "web", "host: web, subsets: [{name: v2, labels: {version: v2} }]")))[0].AllObjects));
        Assert.Contains(Isthmus.Operate.Diagnose.Analysis.Analysis.Examine([one]).Findings, finding => finding.Problem.Code == "IST0173");
        var alone = Isthmus.Operate.Diagnose.Analysis.Analysis.Examine([one.WithRemoteSecrets([Entry("two", Server2)], Server1)]);
        Assert.Equal(["two"], alone.LeftOut);
        Assert.DoesNotContain(alone.Findings, finding => finding.Problem.Code == "IST0173");
        Assert.Empty(Isthmus.Operate.Diagnose.Analysis.Analysis.Examine([one.WithRemoteSecrets([Entry("two", Server2)], Server1),
            Cluster("c2", "two", Server2)]).LeftOut);
    }

    /// <summary>A cluster may have no proxy that says its name, and one that does not answer may be the one that is named.</summary>
    [Fact]
    public void A_cluster_that_was_read_or_does_not_answer_is_not_left_out()
    {
        var one = Cluster("c1", "one", Server1);
        var nameless = ClusterInventory.From("c2", Clusters("{apiVersion: v1, kind: Namespace, metadata: {name: kube-system, uid: uid-two} }")[0].AllObjects)
            .WithRemoteSecrets([], Server2);
        Assert.Empty(LeftOut(one.WithRemoteSecrets([Entry("two", Server2)], Server1), nameless));
        Assert.Empty(LeftOut(one.WithRemoteSecrets([Entry("two", "https://balancer.example.com") with { Uid = "uid-two" }], Server1), nameless));
        Assert.Empty(LeftOut(one.WithRemoteSecrets([Entry("two", Server2)], Server1), ClusterInventory.Unreadable("c2", "is down")));
        Assert.Equal(["three"], LeftOut(one.WithRemoteSecrets([Entry("two", Server2), Entry("three", "https://192.0.2.3:6443")], Server1), nameless));

        static IReadOnlyList<string> LeftOut(params ClusterInventory[] clusters) => Isthmus.Operate.Diagnose.Analysis.Analysis.Examine(clusters).LeftOut;
    }

    /// <summary>Whoever may not read the remote secrets does not know which clusters there are. What no cluster can change is said all the same.</summary>
    [Fact]
    public void Without_remote_secrets_nothing_is_missing_and_what_is_wrong_by_itself_is_told()
    {
        var one = ClusterInventory.From("c1", Cluster("c1", "one", Server1).AllObjects.Concat(Clusters(Join(Web,
            Service("shop", "two", "app: web", "{name: http, port: 80}, {name: more, port: 81}"),
            Istio("ServiceEntry", "stock", "own", "hosts: [own.example], exportTo: ['.'], location: MESH_EXTERNAL, resolution: DNS, ports: "
                + "[{number: 80, name: http, protocol: HTTP}]"),
            Istio("VirtualService", "shop", "web", "hosts: [web], http: [{route: [{destination: {host: absent} }]}]"),
            Istio("VirtualService", "shop", "own", "gateways: [front], hosts: [web.example], http: [{route: [{destination: {host: own.example} }]}, "
                + "{route: [{destination: {host: two} }]}]"),
            Istio("AuthorizationPolicy", "shop", "web", "rules: [{from: [{source: {principals: ['spiffe://cluster.local/ns/shop/sa/default', "
                + "cluster.local/ns/absent/sa/absent]} }]}]")))[0].AllObjects));
        Assert.Equal(["absent", "absent"], Said(one).Where(said => said == "absent"));
        Assert.Equal(["IST0112", "own.example", "spiffe"], Said(one.WithoutRemoteSecrets(Server1)).Order(StringComparer.Ordinal));

        static IEnumerable<string> Said(ClusterInventory cluster) =>
            from finding in Isthmus.Operate.Diagnose.Analysis.Analysis.Run([cluster])
            let message = finding.Problem.Message
            where finding.Problem.Code is "IST0112" || message.Contains("matches no caller", StringComparison.Ordinal)
                || message.Contains("Referenced host not found", StringComparison.Ordinal)
            select message.Contains("own.example", StringComparison.Ordinal) ? "own.example"
                : message.Contains("spiffe://", StringComparison.Ordinal) ? "spiffe"
                : message.Contains("absent", StringComparison.Ordinal) ? "absent" : finding.Problem.Code;
    }

    private static IEnumerable<Finding> Check(params RemoteSecretFacts[] entries) =>
        Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster("c1", "one", Server1).WithRemoteSecrets(entries.ToValueList(), Server1),
            Cluster("c2", "two", Server2)]);

    private static RemoteSecretFacts Entry(string cluster, string server, string error = "") => new($"istio-system/{cluster}", cluster, server, null, error);

    private static ClusterInventory Cluster(string context, string name, string server) =>
        ClusterInventory.From(context, Clusters(Join(MeshText.Root, Workload("istio-system", "istiod-1", "app: istiod", $"containers: [{{name: discovery, "
            + $"env: [{{name: CLUSTER_ID, value: {name}}}]}}]"),
            $"{{apiVersion: v1, kind: Namespace, metadata: {{name: kube-system, uid: uid-{name}}}}}"))[0].AllObjects)
            .WithRemoteSecrets([], server);
}
