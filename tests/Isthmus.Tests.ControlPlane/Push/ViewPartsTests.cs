using System.Collections;
using Isthmus.Core.Live;
using Isthmus.Graph.Derive;
using Isthmus.Rigs.Mesh;
using Xunit;

namespace Isthmus.Tests.ControlPlane.Push;

public sealed class ViewPartsTests
{
    /// <summary>Otherwise, a change of a collection would reach proxies only with the next change of another one.</summary>
    [Fact]
    public void Every_collection_of_the_view_is_one_whose_changes_are_noted()
    {
        var mesh = new MeshRig("c1").Mesh;
        var noted = mesh.ViewParts.Select(part => part.Node).Distinct().CountBy(node => ItemsOf(node).GetType()).ToDictionary();
        var shown = mesh.View().GetType().GetProperties().SelectMany(part => CollectionsOf(part.GetValue(mesh.View()))).ToList();
        Assert.True(shown.Count > 20, $"the view has {shown.Count} collections");
        Assert.DoesNotContain(shown.CountBy(type => type), count => count.Value > noted.GetValueOrDefault(count.Key));
    }

    private static object ItemsOf(LiveNode node) => node.GetType().GetProperty("Items")!.GetValue(node)!;

    private static IEnumerable<Type> CollectionsOf(object? part) => part is IDictionary ? [part.GetType()]
        : part?.GetType().Namespace is not { } ns || !ns.StartsWith("Isthmus.Mesh.Resolve", StringComparison.Ordinal) ? []
        : part.GetType().GetProperties().Select(property => property.PropertyType).Where(typeof(IDictionary).IsAssignableFrom);
}
