using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
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

    private static IEnumerable<Finding> Check(params RemoteSecretFacts[] entries) =>
        Isthmus.Operate.Diagnose.Analysis.Analysis.Run([Cluster("c1", "one", Server1).WithRemoteSecrets(entries.ToValueList(), Server1),
            Cluster("c2", "two", Server2)]);

    private static RemoteSecretFacts Entry(string cluster, string server, string error = "") => new($"istio-system/{cluster}", cluster, server, null, error);

    private static ClusterInventory Cluster(string context, string name, string server) =>
        ClusterInventory.From(context, Clusters(Join(MeshText.Root, Workload("istio-system", "istiod-1", "app: istiod", $"containers: [{{name: discovery, "
            + $"env: [{{name: CLUSTER_ID, value: {name}}}]}}]")))[0].AllObjects)
            .WithRemoteSecrets([], server);
}
