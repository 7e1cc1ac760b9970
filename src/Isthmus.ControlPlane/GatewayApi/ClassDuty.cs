using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Graph.Settings;
using Isthmus.ControlPlane.Statuses;
using Isthmus.Core.Collections;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Config;
using Isthmus.Mesh.Model.GatewayApi;
using Microsoft.Extensions.Logging;
using ObjectKey = Isthmus.Mesh.Model.ObjectKey;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>Creates the classes of Gateways that this control plane brings, once their definition is there, and says of all classes of ours what they
/// support.</summary>
internal sealed partial class ClassDuty(
    GatewayApiSettings settings, KubeClient client, ServedKinds served, ApiStatusWriter writer, PushEngine engine, TimeProvider time, ILogger log)
{
    private const string BundleVersion = "gateway.networking.k8s.io/bundle-version";

    /// <summary>The minor version of the API's last release whose definitions are known: 1.7.</summary>
    private const int LastMinor = 7;

    private string _trouble = "";
    private (ImmutableDictionary<ObjectKey, GatewayClass> Classes, Task Definitions)? _done;

    public async Task RunAsync(CancellationToken stop)
    {
        var rounds = new Rounds(time);
        await rounds.AfterCommitsAsync(engine, token => UpdateAsync(rounds, token), stop).ConfigureAwait(false);
    }

    /// <returns>Whether all is written.</returns>
    private async Task<bool> UpdateAsync(Rounds rounds, CancellationToken stop)
    {
        if (!engine.IsReady) return false;
        var classes = engine.Mesh.Sources.GatewayClasses.Items;
        if (_done is { } done && done.Classes == classes && !done.Definitions.IsCompleted) return true;
        var (version, changed) = await served.FindAsync(MeshApi.GatewayClass.Resource, MeshApi.GatewayClass.Versions, stop).ConfigureAwait(false);
        // Whoever waits for a definition hears of it without a commit.
        if (_done?.Definitions != changed)
            _ = changed.ContinueWith(_ => rounds.Tell(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            if (version is not null && !await UpdateAsync(MeshApi.GatewayClass.In(version), classes.Values, stop).ConfigureAwait(false)) return false;
        }
        catch (Exception e) when (ApiTrouble.Is(e, stop))
        {
            // A kind is served a moment after its definition, and rights may be given later.
            if (e is KubeException { IsBusy: false, IsNotFound: false } && e.Message != _trouble) NotWritten(log, _trouble = e.Message);
            return false;
        }
        _done = (classes, changed);
        return true;
    }

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
        var definition = await client.FindAsync(Kinds.CustomResourceDefinition, null, MeshApi.GatewayClass.CrdName, stop).ConfigureAwait(false);
        var bundle = (string?)definition?["metadata"]?["annotations"]?[BundleVersion] ?? "";
        return (await writer.WriteAsync(kind, [.. ours.Select(item => StatusOf(item, bundle))], known.Count, stop).ConfigureAwait(false)).Count == 0;
    }

    /// <summary>What is said of a class of ours.</summary>
    /// <param name="item">The class.</param>
    /// <param name="bundle">The version of the definitions; empty if they do not say.</param>
    internal static SupportStatus StatusOf(GatewayClass item, string bundle)
    {
        var accepted = item.Parameters is null or { Group: "", Kind: "ConfigMap", Namespace.Length: > 0 }
            ? new ApiCondition("Accepted", true, "Accepted", "Isthmus serves Gateways of this class")
            : new ApiCondition("Accepted", false, "InvalidParameters", "spec.parametersRef must name a ConfigMap (group \"\") and its namespace");
        var supported = IsKnown(bundle)
            ? new ApiCondition("SupportedVersion", true, "SupportedVersion", $"The definitions are those of {bundle}")
            : new ApiCondition("SupportedVersion", false, "UnsupportedVersion",
                $"The definitions are {(bundle.Length == 0 ? "of an unknown version" : $"those of {bundle}")}: known are v1.0 to v1.{LastMinor}. Fields that "
                    + $"others have are ignored");
        return new(item.Source, item.Generation, [accepted, supported],
            item.Controller == GatewayClasses.Unmanaged ? default : GatewayFeatures.All.ToValueList());
    }

    private static bool IsKnown(string bundle) =>
        bundle.Split('.') is ["v1", var minor, ..] && int.TryParse(minor, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= LastMinor;

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
