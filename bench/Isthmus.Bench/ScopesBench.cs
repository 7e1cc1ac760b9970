using System.Diagnostics;
using System.Globalization;
using Isthmus.ControlPlane.Push;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;

namespace Isthmus.Bench;

/// <summary>What proxies in many namespaces cost the publisher, without streams: the first state of each, and one changed VirtualService.</summary>
internal static class ScopesBench
{
    private const int Services = 1000, Namespaces = 200, ProxiesOfEach = 5, Changes = 5, WarmUp = 3;

    internal static void Run()
    {
        Console.WriteLine($"scopes: {Services} services, {Namespaces} namespaces with {ProxiesOfEach} proxies each");
        Console.WriteLine("services   VirtualServices   in each namespace   first namespace: CPU ms   each other: CPU ms   one changed VirtualService: CPU ms"
            + "   bytes for a proxy   one changed Service: CPU ms");
        foreach (var (port, routed) in (ReadOnlySpan<(string, bool)>)[("http", false), ("tcp", false), ("http", true)]) Measure(port, routed, TeamObject.None);
        foreach (var team in (ReadOnlySpan<TeamObject>)[TeamObject.Sidecar, TeamObject.VirtualService]) Measure("http", routed: false, team);
    }

    private static void Measure(string port, bool routed, TeamObject team)
    {
        var rig = new MeshRig("c1");
        for (var ns = 0; ns < Namespaces; ns++) Add(rig, ns, team);
        for (var i = 0; i < Services; i++)
        {
            var (high, low) = (i / 200, i % 200 + 1);
            string[] pods = [.. Enumerable.Range(0, 10).Select(pod => $"10.{100 + pod}.{high}.{low}")];
            rig.AppOn("c1", $"app{i}", $"10.96.{100 + high}.{low}", port, port == "tcp" ? 9000 : 80, pods);
            if (routed) Route(rig, i, 1);
        }
        rig.Push();
        var before = Cpu;
        var proxy = Join(rig, 0);
        var first = Cpu - before;
        before = Cpu;
        for (var ns = 1; ns < Namespaces; ns++) Join(rig, ns);
        var rest = (Cpu - before) / (Namespaces - 1);
        var (changed, bytes) = (TimeSpan.Zero, 0);
        if (routed)
        {
            var stream = Subscribe(proxy.Snapshot!);
            for (var change = -WarmUp; change < Changes; change++)
            {
                before = Cpu;
                Route(rig, (change + WarmUp) * 7, 2 + change + WarmUp);
                rig.Push();
                if (change >= 0) changed += Cpu - before;
                foreach (var answer in stream.Update(proxy.Snapshot!))
                {
                    bytes = answer.CalculateSize();
                    stream.Receive(new() { TypeUrl = answer.TypeUrl, ResponseNonce = answer.Nonce });
                }
            }
        }
        var service = TimeSpan.Zero;
        for (var change = -WarmUp; change < Changes; change++)
        {
            before = Cpu;
            rig.Service("c1", $"app{(change + WarmUp) * 7}", $"10.97.0.{change + WarmUp + 1}", port, port == "tcp" ? 9000 : 80);
            rig.Push();
            if (change >= 0) service += Cpu - before;
        }
        var (start, other, one) = (first.TotalMilliseconds, rest.TotalMilliseconds, changed.TotalMilliseconds / Changes);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{port,8}   {(routed ? Services : 0),15}   {team,17}   {start,23:0.0}   {other,18:0.00}   {one,34:0.0}   {bytes,17}   "
                + $"{service.TotalMilliseconds / Changes,27:0.0}"));
    }

    private static TimeSpan Cpu => Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>A stream whose client has all route tables.</summary>
    /// <param name="takesHosts">It takes virtual hosts as resources of their own, as a proxy of this program does.</param>
    internal static DeltaStream Subscribe(XdsSnapshot snapshot, bool takesHosts = true)
    {
        var stream = new DeltaStream("bench", _ => { });
        stream.Update(snapshot);
        foreach (var type in takesHosts ? (string[])[TypeUrls.Route, TypeUrls.VirtualHost] : [TypeUrls.Route])
        {
            var first = new DeltaDiscoveryRequest { TypeUrl = type, Node = new() };
            if (takesHosts) first.Node.ClientFeatures.Add(VirtualHosts.Feature);
            if (type == TypeUrls.Route) first.ResourceNamesSubscribe.AddRange(snapshot.Types[TypeUrls.Route].All.Select(resource => resource.Name));
            foreach (var answer in stream.Receive(first)) stream.Receive(new() { TypeUrl = answer.TypeUrl, ResponseNonce = answer.Nonce });
        }
        return stream;
    }

    private static void Add(MeshRig rig, int ns, TeamObject team)
    {
        var meta = $"metadata: {{name: default, namespace: team-{ns}}}";
        if (team == TeamObject.Sidecar)
            rig.Config($"{{apiVersion: networking.istio.io/v1, kind: Sidecar, {meta}, spec: {{egress: [{{hosts: [./*, {MeshRig.Namespace}/*]}}]}}}}");
        var host = $"app{ns}.{MeshRig.Namespace}.svc.cluster.local";
        if (team == TeamObject.VirtualService)
            rig.Config($"{{apiVersion: networking.istio.io/v1, kind: VirtualService, {meta}, spec: {{hosts: [{host}], exportTo: [.], "
                + $"http: [{{timeout: 5s, route: [{{destination: {{host: {host}}}}}]}}]}}}}");
    }

    /// <returns>One of them.</returns>
    private static ProxyFeed Join(MeshRig rig, int ns) => Enumerable.Range(0, ProxiesOfEach)
        .Select(proxy => rig.Sidecar("c1", $"client-{ns}-{proxy}", $"10.{200 + proxy}.{ns}.1", ns: $"team-{ns}")).ToList()[0];

    private static void Route(MeshRig rig, int service, int seconds) => rig.Config(
        $"{{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {{name: app{service}, namespace: shop}}, "
        + $"spec: {{hosts: [app{service}], http: [{{timeout: {seconds}s, route: [{{destination: {{host: app{service}}}}}]}}]}}}}");
}
