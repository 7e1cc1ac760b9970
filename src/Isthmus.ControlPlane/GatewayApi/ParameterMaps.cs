using System.Collections.Concurrent;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Kubernetes.Watch;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Mesh.Resolve.GatewayApi;

namespace Isthmus.ControlPlane.GatewayApi;

/// <summary>The ConfigMaps that say how Gateways are deployed: those with a key that is meant for it. Of others, nothing is kept.</summary>
internal sealed class ParameterMaps
{
    /// <summary>On a ConfigMap of the system namespace: the class for whose Gateways it is.</summary>
    internal const string ClassLabel = "gateway.istio.io/defaults-for-class";

    private readonly string _system;
    private readonly Informer<ConfigMap, Found> _informer;
    private readonly ConcurrentDictionary<string, Found> _maps = new(StringComparer.Ordinal);

    /// <param name="system">The namespace of the control plane.</param>
    public ParameterMaps(KubeClient client, string system, TimeProvider time) =>
        (_system, _informer) = (system, new(client, Kinds.ConfigMap, Read, new InformerSettings(), time));

    /// <inheritdoc cref="MadeObjects.Answered"/>
    public Task Answered => _informer.Answered;

    /// <inheritdoc cref="MadeObjects.Refusal"/>
    public string? Refusal => _informer.Synced.IsCompleted ? null : _informer.LastError?.Message;

    /// <param name="changed">Called after changes.</param>
    /// <param name="stop">Ends it.</param>
    public Task RunAsync(Action changed, CancellationToken stop) => _informer.RunAsync(changes =>
    {
        foreach (var change in changes)
        {
            if (change.Object is { } map) _maps[change.Key] = map;
            else _maps.TryRemove(change.Key, out _);
        }
        if (changes.Count > 0) changed();
        return ValueTask.CompletedTask;
    }, stop);

    /// <summary>Those of a Gateway, the most general first: the defaults for its class, what its class refers to, and what it refers to itself.</summary>
    /// <exception cref="ProblemException">One that is referred to is missing, or is of another kind.</exception>
    public ValueList<GatewayParameters> For(ApiGateway gateway, GatewayClass? itsClass)
    {
        var parameters = new List<GatewayParameters>();
        if (_maps.Values.Where(map => map.ForClass == gateway.Class).OrderBy(map => map.CreatedAt).ThenBy(map => map.Parameters.Source, StringComparer.Ordinal)
            .FirstOrDefault() is { } defaults)
            parameters.Add(defaults.Parameters);
        if (itsClass?.Parameters is { } general) parameters.Add(At(general, $"GatewayClass {itsClass.Source.Name}", "spec.parametersRef"));
        if (gateway.Infrastructure.Parameters is { } own)
            parameters.Add(At(own, $"Gateway {gateway.Namespace}/{gateway.Name}", "spec.infrastructure.parametersRef"));
        return parameters.ToValueList();
    }

    private GatewayParameters At(ApiReference reference, string from, string path)
    {
        var found = _maps.GetValueOrDefault($"{reference.Namespace}/{reference.Name}")?.Parameters;
        return ParameterRules.Fault(reference, found is not null, from, path) is { } fault ? throw new ProblemException(fault) : found!;
    }

    private Found? Read(ConfigMap map)
    {
        if (!ParameterRules.Has(map.Data.Keys)) return null;
        var ofClass = map.Metadata.Namespace == _system ? map.Metadata.Labels.GetValueOrDefault(ClassLabel, "") : "";
        return new(new(map.Key, map.Data.ToValueMap()), ofClass, map.Metadata.CreationTimestamp ?? default);
    }

    /// <param name="ForClass">The class whose Gateways have it by default; empty for none.</param>
    private sealed record Found(GatewayParameters Parameters, string ForClass, DateTimeOffset CreatedAt);
}
