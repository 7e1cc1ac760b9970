using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Config.GatewayApi;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Creates the classes of Gateways that this control plane brings, once their definition is there, and says of all classes of ours what they
/// support.</summary>
internal sealed partial class ClassDuty(
    GatewayApiSettings settings, KubeClient client, ServedKinds served, ApiStatusWriter writer, PushEngine engine, TimeProvider time, ILogger log)
{
    private string _trouble = "";
    private (ImmutableDictionary<ObjectKey, GatewayClass> Classes, Task Definitions)? _done;

    public async Task RunAsync(CancellationToken stop)
    {
        var rounds = new Rounds(time);
        await rounds.AfterAsync([Trigger.Commit(engine)], token => UpdateAsync(rounds, token), stop).ConfigureAwait(false);
    }

    private async Task<NextRound> UpdateAsync(Rounds rounds, CancellationToken stop)
    {
        if (!engine.IsReady) return NextRound.Soon;
        var classes = engine.Mesh.Sources.GatewayClasses.Items;
        if (_done is { } done && done.Classes == classes && !done.Definitions.IsCompleted) return NextRound.AtChange;
        var (version, changed) = await served.FindAsync(MeshApi.GatewayClass.Resource, MeshApi.GatewayClass.Versions, stop).ConfigureAwait(false);
        // Whoever waits for a definition hears of it without a commit.
        if (_done?.Definitions != changed)
            _ = changed.ContinueWith(_ => rounds.Tell(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            if (version is not null && !await UpdateAsync(MeshApi.GatewayClass.In(version), classes.Values, stop).ConfigureAwait(false)) return NextRound.Soon;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            // A kind is served a moment after its definition, and rights may be given later.
            if (e is KubeException { IsBusy: false, IsNotFound: false } && e.Message != _trouble) NotWritten(log, _trouble = e.Message);
            return NextRound.Soon;
        }
        _done = (classes, changed);
        return NextRound.AtChange;
    }

    /// <returns>Whether all is written.</returns>
    private async Task<bool> UpdateAsync(ResourceKind kind, IEnumerable<GatewayClass> classes, CancellationToken stop)
    {
        var known = classes.ToList();
        foreach (var missing in GatewayClasses.BuiltIn.Where(built => settings.MakesClasses && known.TrueForAll(item => item.Source.Name != built.Name)))
        {
            try
            {
                await client.CreateAsync(kind, null, Object(kind, missing), stop).ConfigureAwait(false);
            }
            catch (KubeException e) when (e.IsAlreadyExists)
            {
            }
        }
        var ours = known.Where(item => GatewayClasses.IsOurs(item.Controller)).ToList();
        if (ours.Count == 0 || !settings.WritesStatus) return true;
        var definitions = await Task.WhenAll(GatewayApiCrds.Names.Select(name => client.FindAsync(Kinds.CustomResourceDefinition, null, name, stop)))
            .ConfigureAwait(false);
        var supported = SupportOf([.. definitions.OfType<JsonObject>()]);
        return (await writer.WriteAsync(kind, [.. ours.Select(item => StatusOf(item, supported))], known.Count, stop).ConfigureAwait(false)).Count == 0;
    }

    /// <summary>What is said of a class of ours.</summary>
    /// <param name="item">The class.</param>
    /// <param name="supported">Whether the definitions are known.</param>
    private static SupportStatus StatusOf(GatewayClass item, ApiCondition supported)
    {
        var accepted = item.Parameters is null or { Group: "", Kind: "ConfigMap", Namespace.Length: > 0 }
            ? new ApiCondition("Accepted", true, "Accepted", "Isthmus serves Gateways of this class")
            : new ApiCondition("Accepted", false, "InvalidParameters", "spec.parametersRef must name a ConfigMap (group \"\") and its namespace");
        return new(item.Source, item.Generation, [accepted, supported],
            item.Controller == GatewayClasses.Unmanaged ? default : GatewayFeatures.All.ToValueList());
    }

    /// <summary>One definition of a release that is not known is enough: its fields may be the ones that a Gateway has.</summary>
    private static ApiCondition SupportOf(IReadOnlyList<JsonObject> definitions)
    {
        var unknown = definitions.Where(definition => !GatewayApiCrds.IsKnown(GatewayApiCrds.ReleaseOf(definition)))
            .Select(definition => $"{definition["metadata"]!["name"]} "
                + (GatewayApiCrds.ReleaseOf(definition) is { Length: > 0 } release ? $"({release})" : "(does not say its version)")).ToList();
        return unknown.Count == 0
            ? new("SupportedVersion", true, "SupportedVersion",
                $"The definitions are those of {string.Join(", ", definitions.Select(GatewayApiCrds.ReleaseOf).Distinct().Order(StringComparer.Ordinal))}")
            : new("SupportedVersion", false, "UnsupportedVersion", $"Definitions of versions that are not known: {string.Join(", ", unknown)}; known are "
                + $"{GatewayApiCrds.KnownReleases}. Fields that others have are ignored");
    }

    private static JsonObject Object(ResourceKind kind, BuiltInClass built) => new()
    {
        ["apiVersion"] = kind.ApiVersion,
        ["kind"] = kind.Kind,
        ["metadata"] = new JsonObject { ["name"] = built.Name },
        ["spec"] = new JsonObject { ["controllerName"] = built.Controller, ["description"] = built.Description },
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "GatewayClasses are not written: {Reason}")]
    private static partial void NotWritten(ILogger log, string reason);
}
