using System.Collections;
using System.Collections.Immutable;
using System.Reflection;
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
        var noted = mesh.ViewParts.Select(part => part.Node).Distinct().Select(Marked).ToHashSet(ReferenceEqualityComparer.Instance);
        var view = mesh.View();
        var shown = view.GetType().GetProperties().SelectMany(part => CollectionsOf(part.Name, part.GetValue(view))).ToList();
        Assert.True(shown.Count > 20, $"the view has {shown.Count} collections");
        Assert.Empty(shown.Where(one => !noted.Contains(one.Items)).Select(one => one.Name));
    }

    /// <summary>Gives a collection items that are no other's: the empty ones of a type are one object otherwise.</summary>
    private static object Marked(LiveNode node)
    {
        var type = node.GetType();
        while (type.GetGenericTypeDefinition() != typeof(Live<,>)) type = type.BaseType!;
        var items = typeof(ViewPartsTests).GetMethod(nameof(Own), BindingFlags.Static | BindingFlags.NonPublic)!.MakeGenericMethod(type.GetGenericArguments())
            .Invoke(null, null)!;
        type.GetField("_items", BindingFlags.Instance | BindingFlags.NonPublic)!.SetValue(node, items);
        return items;
    }

    private static ImmutableDictionary<TKey, T> Own<TKey, T>() where TKey : notnull =>
        ImmutableDictionary.Create<TKey, T>(EqualityComparer<TKey>.Create((one, other) => Equals(one, other), key => key.GetHashCode()));

    private static IEnumerable<(string Name, object Items)> CollectionsOf(string name, object? part) => part is IDictionary ? [(name, part)]
        : part?.GetType().Namespace is not { } ns || !ns.StartsWith("Isthmus.Mesh.Resolve", StringComparison.Ordinal) ? []
        : part.GetType().GetProperties().Where(property => typeof(IDictionary).IsAssignableFrom(property.PropertyType))
            .Select(property => ($"{name}.{property.Name}", property.GetValue(part)!));
}
