using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Operate.Install.Render;

namespace Isthmus.Operate.Install;

/// <summary>
/// The definitions of the Gateway API, which an installation brings if it is asked to. Other programs of a cluster use them, too: a newer
/// version or another channel is never replaced, and those that an uninstall finds in use stay.
/// </summary>
/// <param name="client">The cluster.</param>
public sealed class GatewayApiBundle(KubeClient client)
{
    /// <summary>The component of an installation.</summary>
    internal const string Component = "Gateway API";

    private const string Ours = GatewayApiCrds.BundleVersion;

    /// <summary>The objects that belong to no revision and no installation.</summary>
    internal static IEnumerable<JsonObject> Build() => GatewayApiCrds.All.Concat(GatewayApiCrds.Policy).Select(Labelled);

    /// <summary>Whether an object is one of the bundle's, by its kind and name.</summary>
    internal static bool IsPart(Removal removal) => IsDefinition(removal) || IsPolicy(removal.Kind);

    /// <summary>Whether this program made an object of the Gateway API: the classes that control planes bring.</summary>
    public static bool IsMade(JsonObject value) =>
        GatewayClasses.BuiltIn.Any(built =>
            built.Name == value["metadata"]?["name"]?.ToString() && built.Controller == value["spec"]?["controllerName"]?.ToString());

    /// <summary>The classes that control planes brought. They stay where somebody else's definitions do, unless they are removed themselves.</summary>
    internal async Task<IReadOnlyList<Removal>> ClassesAsync(CancellationToken stop)
    {
        var kind = Manifests.ResourceOf(MeshApi.GatewayClass);
        try
        {
            return [.. (await client.ListAllAsync<JsonObject>(kind, null, new ListOptions(), stop)).Where(IsMade).Select(item => Removal.Of(kind, item))];
        }
        catch (KubeException e) when (e.IsNotFound)
        {
            // The cluster has no such kind.
            return [];
        }
    }

    /// <summary>What an object should be where a cluster has it: the one who installed it owns it.</summary>
    internal static JsonObject Wanted(JsonObject value, JsonObject present)
    {
        var wanted = (JsonObject)value.DeepClone();
        if (!IsOurs(present)) wanted["metadata"]!.AsObject().Remove("labels");
        return wanted;
    }

    internal static bool IsPart(JsonObject value) => value["metadata"]?["annotations"]?[GatewayApiCrds.VersionAnnotation] is not null;

    /// <exception cref="ProblemException">The cluster has definitions that the installation must not replace.</exception>
    public async Task CheckAsync(IReadOnlyList<Component> components, CancellationToken stop)
    {
        if (await FindProblemAsync(components, stop) is { } problem) throw new ProblemException(problem);
    }

    /// <summary>Why the cluster's definitions must stay as they are; null: they may be replaced, or the installation does not bring them.</summary>
    public async Task<Problem?> FindProblemAsync(IReadOnlyList<Component> components, CancellationToken stop)
    {
        var names = components.Where(component => component.Name == Component).SelectMany(component => component.Objects)
            .Where(value => Applier.KindOf(value) == Kinds.CustomResourceDefinition).Select(Applier.Name);
        var found = await Task.WhenAll(names.Select(name => client.FindAsync(Kinds.CustomResourceDefinition, null, name, stop)));
        return found.OfType<JsonObject>().Select(Judge).OfType<Problem>().FirstOrDefault();
    }

    /// <summary>The components without what the cluster's version does not have: before 1.30, API servers have no policies.</summary>
    public async Task<IReadOnlyList<Component>> FitAsync(IReadOnlyList<Component> components, CancellationToken stop)
    {
        if (!components.Any(component => component.Name == Component)) return components;
        if (await ServesPoliciesAsync(stop)) return components;
        return [.. components.Select(component => component.Name == Component
            ? component with { Objects = [.. component.Objects.Where(value => !IsPolicy(Applier.KindOf(value)))] } : component)];
    }

    /// <summary>The definitions of a removal that hold objects of others.</summary>
    public async Task<IReadOnlyList<Bystander>> HeldAsync(IReadOnlyList<Removal> plan, CancellationToken stop) =>
        await new Bystanders(client, IsMade).FindAsync([.. plan.Where(IsDefinition)], stop);

    /// <summary>A removal without what is held. The policy stays with the definitions that it guards.</summary>
    public static IReadOnlyList<Removal> Without(IReadOnlyList<Removal> plan, IReadOnlyList<Bystander> held)
    {
        var kept = held.Select(one => one.With).ToHashSet();
        var guards = kept.Any(IsDefinition);
        return [.. plan.Where(removal => !kept.Contains(removal) && !(guards && IsPolicy(removal.Kind)))];
    }

    private Problem? Judge(JsonObject present)
    {
        var (version, channel) = (Annotation(present, GatewayApiCrds.VersionAnnotation), Annotation(present, GatewayApiCrds.ChannelAnnotation));
        if (channel != GatewayApiCrds.Channel)
        {
            return Refuse(present, GatewayApiCrds.ChannelAnnotation, channel.Length == 0
                ? $"is missing, so the definition may be of another channel than '{GatewayApiCrds.Channel}', which would replace it"
                : $"is '{channel}', and the channel '{GatewayApiCrds.Channel}' would replace it");
        }
        if (Number(version) is not { } number)
        {
            return Refuse(present, GatewayApiCrds.VersionAnnotation, version.Length == 0
                ? $"is missing, so the definition cannot be compared with {Ours}"
                : $"is '{version}', which is not a version, so it cannot be compared with {Ours}");
        }
        return number.CompareTo(Number(Ours)!.Value) > 0
            ? Refuse(present, GatewayApiCrds.VersionAnnotation, $"is '{version}', which is newer than {Ours}, and {Ours} would replace it") : null;
    }

    private Problem Refuse(JsonObject present, string annotation, string message) => new(
        "", $"CustomResourceDefinition {Applier.Name(present)} in {client.Access.Name}", $"metadata.annotations[{annotation}]", message,
        "the mesh uses the definitions that are there: set values.base.enableGatewayAPICRDs to false (in a mesh file: gatewayApi.install)");

    private static string Annotation(JsonObject value, string name) => value["metadata"]!["annotations"]?[name]?.ToString() ?? "";

    /// <summary>A version such as <c>v1.6.1</c>. Candidates (<c>v1.7.0-rc.1</c>) are older than their release, and newer than the one before it.</summary>
    private static (int Major, int Minor, int Patch, bool IsRelease)? Number(string version)
    {
        var parts = version.StartsWith('v') ? version[1..].Split('-', 2) : [""];
        return parts[0].Split('.') is [var major, var minor, var patch] && Whole(major) is { } first && Whole(minor) is { } second && Whole(patch) is { } third
            ? (first, second, third, parts.Length == 1) : null;
    }

    private static int? Whole(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private async Task<bool> ServesPoliciesAsync(CancellationToken stop)
    {
        try
        {
            var served = JsonNode.Parse(await client.RawAsync(HttpMethod.Get, $"/apis/{Kinds.ValidatingAdmissionPolicy.ApiVersion}", null, stop));
            return (served?["resources"] as JsonArray ?? []).Any(resource => resource?["name"]?.ToString() == Kinds.ValidatingAdmissionPolicy.Plural);
        }
        catch (KubeException e) when (e.Code == 404)
        {
            return false;
        }
    }

    private static bool IsDefinition(Removal removal) =>
        removal.Kind == Kinds.CustomResourceDefinition && removal.Name.EndsWith($".{GatewayApiCrds.Group}", StringComparison.Ordinal);

    private static bool IsPolicy(ResourceKind kind) => kind == Kinds.ValidatingAdmissionPolicy || kind == Kinds.ValidatingAdmissionPolicyBinding;

    private static bool IsOurs(JsonObject value) =>
        value["metadata"]!["labels"] is JsonObject labels && labels[ObjectLabels.Release]?.ToString() == "istio" && labels[ObjectLabels.Component] is not null;

    private static JsonObject Labelled(JsonObject value)
    {
        var labels = value["metadata"]!["labels"] as JsonObject ?? (JsonObject)(value["metadata"]!["labels"] = new JsonObject())!;
        labels[ObjectLabels.Release] = "istio";
        labels[ObjectLabels.Component] = "Base";
        return value;
    }
}
