using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Lab.ApiServer.Hosting;
using Isthmus.Lab.ApiServer.Objects;
using Isthmus.Lab.ApiServer.Registry;
using Isthmus.Lab.ApiServer.VirtualResources;

namespace Isthmus.Lab.ApiServer.Discovery;

/// <summary>Generates discovery documents from the registry: a pure function of the served kinds.</summary>
internal sealed class DiscoveryBuilder
{
    private static readonly string[] GroupOrder =
    [
        "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io",
        "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io",
        "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io", "flowcontrol.apiserver.k8s.io",
    ];

    private readonly ApiServerContext _context;
    private readonly List<Entry> _entries;
    private readonly List<(string Group, List<string> Versions)> _groups;

    internal DiscoveryBuilder(ApiServerContext context, IReadOnlyList<VirtualResourceDescriptor> virtuals)
    {
        _context = context;
        _entries = [.. context.Kinds.All.SelectMany(Entry.Of), .. virtuals.Select(Entry.Of)];
        _groups = [.. _entries.Where(entry => entry.Group.Length > 0).GroupBy(entry => entry.Group)
            .Select(group => (group.Key, Versions(group.Select(entry => entry.Version))))
            .OrderBy(group => Rank(group.Key)).ThenBy(group => group.Key, StringComparer.Ordinal)];
    }

    internal Dictionary<string, JsonObject> Documents()
    {
        var documents = new Dictionary<string, JsonObject>
        {
            ["/api"] = new()
            {
                ["kind"] = "APIVersions",
                ["versions"] = new JsonArray("v1"),
                ["serverAddressByClientCIDRs"] = new JsonArray(new JsonObject
                {
                    ["clientCIDR"] = "0.0.0.0/0",
                    ["serverAddress"] = $"{_context.Settings.Address}:{_context.Settings.Port}",
                }),
            },
            ["/api/v1"] = Resources("", "v1"),
            ["/apis"] = new()
            {
                ["kind"] = "APIGroupList", ["apiVersion"] = "v1",
                ["groups"] = new JsonArray([.. _groups.Select(group => Group(group.Group, group.Versions, false))])
            },
        };
        foreach (var (group, versions) in _groups)
        {
            documents[$"/apis/{group}"] = Group(group, versions, true);
            foreach (var version in versions) documents[$"/apis/{group}/{version}"] = Resources(group, version);
        }
        return documents;
    }

    internal JsonObject Aggregated(string path, string version)
    {
        var items = path == "/api"
            ? new JsonArray(new JsonObject
            {
                ["metadata"] = new JsonObject { ["creationTimestamp"] = null }, ["versions"] = new JsonArray(AggregatedVersion("", "v1"))
            })
            : new JsonArray([.. _groups.Select(group => (JsonNode)new JsonObject
            {
                ["metadata"] = new JsonObject { ["name"] = group.Group, ["creationTimestamp"] = null },
                ["versions"] = new JsonArray([.. group.Versions.Select(v => (JsonNode)AggregatedVersion(group.Group, v))]),
            })]);
        return new()
        {
            ["kind"] = "APIGroupDiscoveryList", ["apiVersion"] = $"apidiscovery.k8s.io/{version}", ["metadata"] = new JsonObject(), ["items"] = items
        };
    }

    private JsonObject AggregatedVersion(string group, string version)
    {
        var resources = new JsonArray();
        foreach (var resource in In(group, version).GroupBy(entry => entry.Plural).OrderBy(same => same.Key, StringComparer.Ordinal))
        {
            var main = resource.FirstOrDefault(entry => entry.Subresource.Length == 0) ?? resource.First();
            var node = new JsonObject
            {
                ["resource"] = main.Plural,
                ["responseKind"] = main.ResponseKind(),
                ["scope"] = main.Namespaced ? "Namespaced" : "Cluster",
                ["singularResource"] = main.Singular,
                ["verbs"] = Texts(main.Verbs),
            };
            if (main.ShortNames.Count > 0) node["shortNames"] = Texts(main.ShortNames);
            if (main.Categories.Count > 0) node["categories"] = Texts(main.Categories);
            var subresources = resource.Where(entry => entry.Subresource.Length > 0).OrderBy(entry => entry.Subresource, StringComparer.Ordinal).ToList();
            if (subresources.Count > 0)
                node["subresources"] = new JsonArray([.. subresources.Select(sub => (JsonNode)new JsonObject
                {
                    ["subresource"] = sub.Subresource,
                    ["responseKind"] = sub.ResponseKind(),
                    ["verbs"] = Texts(sub.Verbs),
                })]);
            resources.Add((JsonNode)node);
        }
        return new() { ["version"] = version, ["resources"] = resources, ["freshness"] = "Current" };
    }

    private static JsonNode Group(string group, List<string> versions)
    {
        JsonObject Version(string version) => new() { ["groupVersion"] = $"{group}/{version}", ["version"] = version };
        return new JsonObject
        {
            ["name"] = group, ["versions"] = new JsonArray([.. versions.Select(version => (JsonNode)Version(version))]),
            ["preferredVersion"] = Version(versions[0])
        };
    }

    private static JsonObject Group(string group, List<string> versions, bool alone)
    {
        var document = (JsonObject)Group(group, versions);
        if (!alone) return document;
        document.Insert(0, "kind", "APIGroup");
        document.Insert(1, "apiVersion", "v1");
        return document;
    }

    private JsonObject Resources(string group, string version)
    {
        var list = new JsonArray();
        foreach (var entry in In(group, version).OrderBy(entry => entry.Path, StringComparer.Ordinal)) list.Add(entry.ToResource());
        var document = new JsonObject { ["kind"] = "APIResourceList" };
        if (group.Length > 0) document["apiVersion"] = "v1";
        document["groupVersion"] = new GroupVersion(group, version).ToString();
        document["resources"] = list;
        return document;
    }

    private IEnumerable<Entry> In(string group, string version) => _entries.Where(entry => entry.Group == group && entry.Version == version);

    private static int Rank(string group)
    {
        var index = Array.IndexOf(GroupOrder, group);
        return index < 0 ? int.MaxValue : index;
    }

    /// <summary>As Kubernetes orders versions: v2 before v1 before v1beta1 before v1alpha1.</summary>
    private static List<string> Versions(IEnumerable<string> versions) =>
        [.. versions.Distinct().OrderByDescending(VersionRank.Of).ThenBy(version => version, StringComparer.Ordinal)];

    private static JsonArray Texts(IEnumerable<string> texts) => new([.. texts.Select(text => (JsonNode)text)]);

    /// <summary>One line of a resource list.</summary>
    private sealed record Entry(
        string Group, string Version, string Plural, string Singular, string Kind, string Subresource, bool Namespaced, IReadOnlyList<string> Verbs,
        IReadOnlyList<string> ShortNames, IReadOnlyList<string> Categories, string KindGroup, string KindVersion, bool Stored, bool Custom)
    {
        internal string Path => Subresource.Length == 0 ? Plural : $"{Plural}/{Subresource}";

        internal static IEnumerable<Entry> Of(KindDescriptor kind)
        {
            var verbs = kind.IsCustom && kind.Verbs.Count == KindDescriptor.AllVerbs.Count
                ? ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"] : kind.Verbs;
            yield return new(kind.Group, kind.Version, kind.Plural, kind.Singular, kind.Kind, "", kind.Namespaced, verbs, kind.ShortNames, kind.Categories, "",
                "", true, kind.IsCustom);
            foreach (var sub in kind.Subresources)
            {
                var isScale = sub.Name == "scale";
                yield return new(kind.Group, kind.Version, kind.Plural, "", isScale ? "Scale" : kind.Kind, sub.Name, kind.Namespaced, sub.Verbs, [], [],
                    isScale ? "autoscaling" : "", isScale ? "v1" : "", false, kind.IsCustom);
            }
        }

        internal static Entry Of(VirtualResourceDescriptor d) =>
            new(d.Group, d.Version, d.Plural, d.Subresource.Length == 0 ? d.Singular : "", d.Kind, d.Subresource, d.Namespaced, d.Verbs, [], [],
                d.KindGroup, d.KindGroup.Length > 0 && d.KindVersion.Length == 0 ? "v1" : d.KindVersion, false, false);

        internal JsonObject ResponseKind() => new()
        {
            ["group"] = Custom && KindGroup.Length == 0 ? Group : KindGroup,
            ["version"] = Custom && KindVersion.Length == 0 ? Version : KindVersion,
            ["kind"] = Kind,
        };

        internal JsonNode ToResource()
        {
            var node = new JsonObject { ["name"] = Path, ["singularName"] = Singular, ["namespaced"] = Namespaced };
            if (KindGroup.Length > 0) node["group"] = KindGroup;
            if (KindVersion.Length > 0) node["version"] = KindVersion;
            node["kind"] = Kind;
            node["verbs"] = Texts(Verbs);
            if (ShortNames.Count > 0) node["shortNames"] = Texts(ShortNames);
            if (Categories.Count > 0) node["categories"] = Texts(Categories);
            if (Stored) node["storageVersionHash"] = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes($"{Group}/{Version}/{Kind}"))[..8]);
            return node;
        }
    }
}

/// <summary>Orders version names: stable before beta before alpha, newer before older, everything else last.</summary>
internal static class VersionRank
{
    internal static (int Stability, int Major, int Minor) Of(string version)
    {
        if (version.Length < 2 || version[0] != 'v') return (0, 0, 0);
        var digits = version.AsSpan(1);
        var end = 0;
        while (end < digits.Length && char.IsAsciiDigit(digits[end])) end++;
        if (end is 0 or > 6) return (0, 0, 0);
        var major = int.Parse(digits[..end], System.Globalization.CultureInfo.InvariantCulture);
        var rest = digits[end..].ToString();
        if (rest.Length == 0) return (3, major, 0);
        foreach (var (word, stability) in ((string, int)[])[("beta", 2), ("alpha", 1)])
            if (rest.StartsWith(word, StringComparison.Ordinal) && int.TryParse(rest[word.Length..], out var minor)) return (stability, major, minor);
        return (0, 0, 0);
    }
}
