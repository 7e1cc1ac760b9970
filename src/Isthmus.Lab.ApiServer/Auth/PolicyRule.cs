using System.Text.Json.Nodes;
using Isthmus.Core.Collections;
using Isthmus.Lab.ApiServer.Identity;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Values;

namespace Isthmus.Lab.ApiServer.Auth;

/// <summary>One rule of a Role or ClusterRole.</summary>
internal sealed record PolicyRule(
    ValueList<string> Verbs, ValueList<string> ApiGroups, ValueList<string> Resources,
    ValueList<string> ResourceNames, ValueList<string> NonResourceUrls)
{
    public static PolicyRule FromJson(JsonObject rule) => new(
        Json.Texts(rule["verbs"]), Json.Texts(rule["apiGroups"]), Json.Texts(rule["resources"]),
        Json.Texts(rule["resourceNames"]), Json.Texts(rule["nonResourceURLs"]));

    public static ValueList<PolicyRule> ListFromJson(JsonNode? rules) => Json.Objects(rules).Select(FromJson).ToValueList();

    /// <summary>Empty fields are omitted, as in a real API server.</summary>
    public JsonObject ToJson()
    {
        var rule = new JsonObject { ["verbs"] = Json.Array(Verbs) };
        if (!ApiGroups.IsEmpty) rule["apiGroups"] = Json.Array(ApiGroups);
        if (!Resources.IsEmpty) rule["resources"] = Json.Array(Resources);
        if (!ResourceNames.IsEmpty) rule["resourceNames"] = Json.Array(ResourceNames);
        if (!NonResourceUrls.IsEmpty) rule["nonResourceURLs"] = Json.Array(NonResourceUrls);
        return rule;
    }

    public bool Allows(RequestAttributes asked) => Has(Verbs, asked.Verb) && (asked.IsResourceRequest
        ? Has(ApiGroups, asked.Group) && HasResource(asked.Resource, asked.Subresource) && HasName(asked.Name)
        : NonResourceUrls.Any(pattern => MatchesPath(pattern, asked.Path)));

    /// <summary>True when this rule grants all that <paramref name="other"/>, a rule of single values, grants.</summary>
    public bool Covers(PolicyRule other)
    {
        if (!other.Verbs.All(verb => Has(Verbs, verb))) return false;
        if (!other.NonResourceUrls.IsEmpty)
            return other.NonResourceUrls.All(path => NonResourceUrls.Any(pattern => CoversPath(pattern, path)));
        return other.ApiGroups.All(group => Has(ApiGroups, group))
            && other.Resources.All(CoversResource)
            && (ResourceNames.IsEmpty || (!other.ResourceNames.IsEmpty && other.ResourceNames.All(ResourceNames.Contains)));
    }

    /// <summary>The rule as many rules of one verb on one resource (or path) each: what escalation checks compare.</summary>
    public IEnumerable<PolicyRule> Split()
    {
        foreach (var verb in Verbs)
        {
            foreach (var group in ApiGroups)
                foreach (var resource in Resources)
                    if (ResourceNames.IsEmpty) yield return new([verb], [group], [resource], [], []);
                    else foreach (var name in ResourceNames) yield return new([verb], [group], [resource], [name], []);
            foreach (var path in NonResourceUrls) yield return new([verb], [], [], [], [path]);
        }
    }

    /// <summary>As a server prints it: <c>{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}</c>.</summary>
    public override string ToString()
    {
        var parts = new List<string>();
        Add("APIGroups", ApiGroups);
        Add("Resources", Resources);
        Add("NonResourceURLs", NonResourceUrls);
        Add("ResourceNames", ResourceNames);
        Add("Verbs", Verbs);
        return $"{{{string.Join(", ", parts)}}}";

        void Add(string field, ValueList<string> values)
        {
            if (!values.IsEmpty) parts.Add($"{field}:{GoText.List(values)}");
        }
    }

    private bool HasResource(string resource, string subresource)
    {
        foreach (var held in Resources)
        {
            if (held == "*") return true;
            if (subresource.Length == 0)
            {
                if (held == resource) return true;
                continue;
            }
            var slash = held.IndexOf('/', StringComparison.Ordinal);
            if (slash > 0 && held.AsSpan(slash + 1).SequenceEqual(subresource)
                && (held.AsSpan(0, slash).SequenceEqual(resource) || held[..slash] == "*"))
                return true;
        }
        return false;
    }

    private bool CoversResource(string resource)
    {
        if (Has(Resources, resource)) return true;
        var slash = resource.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && Resources.Contains("*" + resource[slash..]);
    }

    private bool HasName(string name) => ResourceNames.IsEmpty || (name.Length > 0 && ResourceNames.Contains(name));

    private static bool Has(ValueList<string> values, string value)
    {
        foreach (var held in values)
            if (held == value || held == "*") return true;
        return false;
    }

    private static bool MatchesPath(string pattern, string path) =>
        pattern == "*" || pattern == path || (pattern.EndsWith('*') && path.StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal));

    private static bool CoversPath(string pattern, string path) =>
        pattern == path || (pattern.EndsWith('*') && path.StartsWith(pattern.AsSpan(0, pattern.Length - 1), StringComparison.Ordinal));
}
