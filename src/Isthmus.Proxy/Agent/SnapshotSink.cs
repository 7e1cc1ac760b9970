using Google.Protobuf;
using Isthmus.Core.Problems;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Tls;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Istio;
using Isthmus.Wire.Xds;

namespace Isthmus.Proxy.Agent;

/// <summary>Passes the control plane's resources to the data plane and the DNS proxy, and reports which ones they need by name.</summary>
/// <param name="source">Is told which secrets resources name.</param>
internal sealed class SnapshotSink(SnapshotState state, DiscoveredSecrets secrets, ISecretSource source, Action<NameTable> names) : IXdsSink
{
    private (IReadOnlyList<string> Names, IReadOnlySet<string> Set) _endpoints = ([], new HashSet<string>()), _routes = ([], new HashSet<string>()),
        _secrets = ([], new HashSet<string>());

    public XdsVerdict Apply(XdsBatch batch)
    {
        IReadOnlyList<XdsRejection> rejected;
        if (batch.TypeUrl == Wire.Xds.TypeUrls.NameTable) rejected = [.. ApplyNames(batch)];
        else if (batch.TypeUrl == Wire.Xds.TypeUrls.Secret) rejected = [.. ApplySecrets(batch)];
        else
        {
            var changed = batch.Changed.Select(r => r.Parts is { } parts ? new NamedResource(r.Name, r.Version, parts) : new(r.Name, r.Version, r.Body));
            var update = new ResourceUpdate(batch.TypeUrl, [.. changed], batch.Removed, batch.Version);
            rejected = [.. state.Apply(update).Select(r => new XdsRejection(r.Name, r.Message))];
        }
        var wanted = state.WantedSecrets;
        if (!ReferenceEquals(_secrets.Names, wanted))
        {
            secrets.Keep(wanted);
            var before = _secrets.Names;
            _secrets = (wanted, wanted.Where(DiscoveredSecrets.Has).Select(DiscoveredSecrets.Wire).ToHashSet(StringComparer.Ordinal));
            source.Forget([.. before.Except(wanted)]);
            source.Want([.. wanted.Except(before)]);
        }
        return new(rejected, new Dictionary<string, IReadOnlySet<string>>(StringComparer.Ordinal)
        {
            [Wire.Xds.TypeUrls.Endpoints] = Set(ref _endpoints, state.WantedEndpoints),
            [Wire.Xds.TypeUrls.Route] = Set(ref _routes, state.WantedRoutes),
            [Wire.Xds.TypeUrls.Secret] = _secrets.Set,
        });
    }

    private IEnumerable<XdsRejection> ApplySecrets(XdsBatch batch)
    {
        foreach (var resource in batch.Changed)
        {
            XdsRejection? rejection = null;
            try
            {
                secrets.Put(resource.Version, Secret.Parser.ParseFrom(resource.Body.Value));
            }
            catch (Exception e) when (e is InvalidProtocolBufferException or ProblemException)
            {
                rejection = new(resource.Name, e.Message);
                secrets.MarkAbsent(resource.Name);
            }
            if (rejection is not null) yield return rejection;
        }
        foreach (var name in batch.Removed) secrets.MarkAbsent(name);
    }

    private IEnumerable<XdsRejection> ApplyNames(XdsBatch batch)
    {
        foreach (var resource in batch.Changed)
        {
            XdsRejection? rejection = null;
            try
            {
                names(NameTable.Parser.ParseFrom(resource.Body.Value));
            }
            catch (InvalidProtocolBufferException e)
            {
                rejection = new(resource.Name, e.Message);
            }
            if (rejection is not null) yield return rejection;
        }
    }

    private static IReadOnlySet<string> Set(ref (IReadOnlyList<string> Names, IReadOnlySet<string> Set) last, IReadOnlyList<string> names)
    {
        if (!ReferenceEquals(last.Names, names)) last = (names, names.ToHashSet(StringComparer.Ordinal));
        return last.Set;
    }
}
