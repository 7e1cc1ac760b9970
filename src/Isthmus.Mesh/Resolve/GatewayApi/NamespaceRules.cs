using Isthmus.Core.Collections;
using Isthmus.Mesh.Model.GatewayApi;

namespace Isthmus.Mesh.Resolve.GatewayApi;

/// <summary>From which namespaces objects may attach to a Gateway or listener.</summary>
public static class NamespaceRules
{
    /// <summary>The label that API servers give each namespace.</summary>
    private const string NameLabel = "kubernetes.io/metadata.name";

    /// <param name="allowed">What the owner allows.</param>
    /// <param name="owner">The owner's namespace.</param>
    /// <param name="ns">The namespace of the object.</param>
    /// <param name="labelsOf">The labels of a namespace.</param>
    public static bool Allow(AllowedNamespaces allowed, string owner, string ns, Func<string, ValueMap<string>> labelsOf) => allowed.From switch
    {
        NamespacesFrom.All => true,
        NamespacesFrom.Same => ns == owner,
        NamespacesFrom.Selector => Matches(allowed.Selector, ns, labelsOf(ns)),
        _ => false,
    };

    private static bool Matches(ApiSelector selector, string ns, ValueMap<string> labels)
    {
        string? ValueOf(string key) => labels.TryGetValue(key, out var value) ? value : key == NameLabel ? ns : null;
        return selector.Labels.Items.All(label => ValueOf(label.Key) == label.Value) && selector.Rules.All(rule => rule.Operator switch
        {
            "In" => ValueOf(rule.Key) is { } value && rule.Values.Contains(value),
            "NotIn" => ValueOf(rule.Key) is not { } value || !rule.Values.Contains(value),
            "Exists" => ValueOf(rule.Key) is not null,
            "DoesNotExist" => ValueOf(rule.Key) is null,
            _ => false,
        });
    }
}
