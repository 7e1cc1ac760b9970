using Isthmus.Structure;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Architecture;

/// <summary>What tools/structure computes from the code: no namespaces form a circle, and nothing is too long to
/// read.</summary>
public sealed class StructureTests
{
    private static readonly IReadOnlyList<NamespaceArrows> Projects = ArrowPage.Read(Repository.Root, Path.GetFileName(AppContext.BaseDirectory.TrimEnd('/')));

    /// <summary>Records with more than seven members outside the namespaces that mirror messages and objects. No other may join.</summary>
    private static readonly HashSet<string> Wide = new(StringComparer.Ordinal)
    {
        // Each has a member for each field of an API object, a file, or a page.
        "Lab.ApiServer.Admission.Webhook", "Lab.ApiServer.Auth.TokenClaims", "Lab.ApiServer.Discovery.DiscoveryBuilder/Entry",
        "Lab.ApiServer.VirtualResources.VirtualResourceDescriptor", "Lab.ApiServer.Schemas.FieldSchema", "Lab.Machine.Network.ClusterSettings",
        "Lab.Nodes.Containers.PodRecord", "ControlPlane.Clusters.ClusterStatus", "Proxy.Telemetry.ProxyIdentity", "Proxy.Traffic.SeenTraffic",
        "Quickstart.AccessLogLine", "Explain.Tracing.Facts.Sighting", "WebConsole.Picture.ServiceNode", "WebConsole.Picture.Flow",
        "WebConsole.Answers.EndpointRow", "Proxy.Clusters.ClusterSnapshot",
        // The attributes of a request, as Kubernetes' authorizers, Istio's policies and Istio's metrics name them.
        "Lab.ApiServer.Http.RequestTarget", "Lab.ApiServer.Identity.RequestAttributes", "Proxy.Policy.PolicyFacts", "Proxy.Telemetry.MeshMetrics/Key",
        "Proxy.Telemetry.MeshMetrics/Party",
        // What a pure function computes from: a Pod's status, a container's process, a Service's rules, findings.
        "Lab.Nodes.Pods.ContainerView", "Lab.Nodes.Pods.PodStatusInputs", "Lab.Nodes.Containers.LaunchRequest", "Lab.Nodes.ServiceProxy.ServicePortRule",
        "Operate.Diagnose.ClusterFacts", "Explain.Tracing.Calls.MadeCall", "Operate.Inventory.TrustFacts",
        // The settings of a node, and the flags of a command.
        "Lab.Nodes.Pods.NodeSettings", "Commands.ProxyConfigCommand/Filters",
        // What all Pods of a node share, and all exchanges of a proxy.
        "Lab.Nodes.Pods.NodeContext", "Proxy.Http.HttpParts",
    };

    [Fact]
    public void Namespaces_of_a_project_form_no_circle()
    {
        var circles = (
            from project in Projects
            from circle in project.Circles()
            select string.Join(" ", circle)).ToList();
        Assert.True(circles.Count == 0, $"namespaces that reach each other: {string.Join("; ", circles)}");
    }

    [Fact]
    public void The_page_shows_the_arrows_of_the_code() =>
        Assert.Equal(ArrowPage.Print(Projects), ArrowPage.Find(File.ReadAllText(Repository.At("docs/ARCHITECTURE.md"))));

    [Fact]
    public void A_use_that_leads_back_is_a_circle()
    {
        SortedDictionary<string, SortedSet<string>> uses = new(StringComparer.Ordinal) { ["a"] = ["b"], ["b"] = ["c"], ["c"] = [], ["d"] = ["a"] };
        Assert.Empty(NamespaceArrows.Circles(uses));
        uses["c"].Add("a");
        Assert.Equal([["a", "b", "c"]], NamespaceArrows.Circles(uses));
    }

    [Fact]
    public void Classes_stay_short_with_all_their_parts_together()
    {
        var found =
            from type in Sizes.Classes(Repository.At("src"))
            where type.Lines > Sizes.LongestClass
            select $"{type.Lines} lines: {type.Name}";
        Assert.Empty(found);
    }

    [Fact]
    public void Methods_take_at_most_seven_parameters()
    {
        var found =
            from project in Projects
            from method in Sizes.LongLists(project.Assembly)
            where !method.Name.EndsWith("..ctor", StringComparison.Ordinal) || !Wide.Contains(method.Name["Isthmus.".Length..^"..ctor".Length])
            select $"{method.Count} parameters: {method.Name}";
        Assert.Empty(found);
    }

    [Fact]
    public void Only_records_that_are_wide_are_listed_as_wide()
    {
        var wide = Projects.SelectMany(project => Sizes.LongLists(project.Assembly)).Select(method => method.Name).ToHashSet(StringComparer.Ordinal);
        Assert.DoesNotContain(Wide, name => !wide.Contains($"Isthmus.{name}..ctor"));
    }

    [Fact]
    public void A_type_without_a_body_does_not_count_the_lines_of_the_next_type()
    {
        string[] lines = ["internal sealed record A(", "    int One,", "    int Two);", "", "internal interface B { int C { get; } }", "",
            "internal sealed class D : B", "{", "    int C => 1;", "}"];
        Assert.Equal([("A", 3), ("B", 1), ("D", 4)], Sizes.Parts(lines));
    }
}
