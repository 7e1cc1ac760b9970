using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Isthmus.ControlPlane.Push;
using Isthmus.Kubernetes.Objects;
using Isthmus.Rigs.Mesh;
using Isthmus.Wire.Envoy;
using Isthmus.Wire.Xds;

namespace Isthmus.Bench;

/// <summary>What one changed HTTPRoute or VirtualService of a Gateway costs the publisher, without streams, and HTTPRoutes for few and for many routes of
/// ListenerSets.</summary>
internal static class RoutesBench
{
    internal const int RoutesOfSet = 16;

    private const int WarmUp = 300, Changes = 200;

    internal static void Run()
    {
        Console.WriteLine($"routes: one Gateway, ListenerSets with {RoutesOfSet} routes each, and one gateway proxy; {Changes} changes of one route");
        Console.WriteLine("routes   ListenerSets   first state: CPU ms   one changed route: CPU ms   allocated KiB   bytes for the proxy   one route "
            + "more: CPU ms   one Service more: CPU ms");
        var (few, many) = (Measure(1000), Measure(40_000));
        MeasureVirtualServices(1000);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"routes-40000-ratio: {many.Changed / few.Changed:0.00} (a changed route)   {many.Added / few.Added:0.00} (a route more)"));
    }

    /// <summary>As many VirtualServices of four routes each, at a Gateway of Istio.</summary>
    private static void MeasureVirtualServices(int hosts)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "app", "10.96.1.1", "10.244.1.1");
        rig.Service("c1", "front", "10.96.0.20", target: 80);
        rig.Config("{apiVersion: networking.istio.io/v1, kind: Gateway, metadata: {name: front, namespace: shop}, spec: {selector: {app: front}, "
            + "servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]}}");
        for (var host = 0; host < hosts; host++) VirtualService(rig, host, "a");
        rig.Push();
        var proxy = rig.Router("c1", "front");
        var (stream, bytes) = (ScopesBench.Subscribe(proxy.Snapshot!), 0);
        for (var change = 0; change < WarmUp; change++) Change(change % hosts, $"w{change}");
        GC.Collect();
        var changed = Measured(change => Change(change * 7 % hosts, $"c{change}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{hosts} VirtualServices of four routes, one changed: CPU ms {changed:0.000}   bytes for the proxy {bytes}"));

        void Change(int host, string mark)
        {
            VirtualService(rig, host, mark);
            bytes = Deliver(rig, proxy, stream);
        }
    }

    private static (double Changed, double Added) Measure(int routes)
    {
        var sets = (routes + RoutesOfSet - 1) / RoutesOfSet;
        var rig = Mesh(sets);
        for (var route = 0; route < routes; route++) Route(rig, route, "a");
        rig.Push();
        var before = Cpu;
        var proxy = rig.Router("c1", "front", labels: new() { ["gateway.networking.k8s.io/gateway-name"] = "front" });
        var first = Cpu - before;
        var stream = ScopesBench.Subscribe(proxy.Snapshot!);
        var bytes = 0;
        for (var change = 0; change < WarmUp; change++) Change(change % routes, $"w{change}");
        GC.Collect();
        var (allocated, changed) = (GC.GetAllocatedBytesForCurrentThread(), Measured(change => Change(change * 7 % routes, $"c{change}")));
        allocated = (GC.GetAllocatedBytesForCurrentThread() - allocated) / Changes;
        var added = Measured(change => Change(routes + change, "n"));
        for (var change = 0; change < WarmUp; change++) Service(change);
        GC.Collect();
        var service = Measured(change => Service(WarmUp + change));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{routes,6}   {sets,12}   {first.TotalMilliseconds,19:0}   {changed,25:0.000}   {allocated / 1024,13}   {bytes,19}   {added,22:0.000}   "
                + $"{service,23:0.000}"));
        return (changed, added);

        void Change(int route, string mark)
        {
            Route(rig, route, mark, sets);
            bytes = Deliver(rig, proxy, stream);
        }

        // No route leads to it.
        void Service(int number)
        {
            rig.App("c1", $"late{number}", $"10.97.{number / 250}.{1 + number % 250}", $"10.245.{number / 250}.{1 + number % 250}");
            rig.Push();
        }
    }

    /// <returns>The bytes that the proxy gets.</returns>
    private static int Deliver(MeshRig rig, ProxyFeed proxy, DeltaStream stream)
    {
        rig.Push();
        var bytes = 0;
        foreach (var answer in stream.Update(proxy.Snapshot!))
        {
            bytes += answer.CalculateSize();
            stream.Receive(new() { TypeUrl = answer.TypeUrl, ResponseNonce = answer.Nonce });
        }
        return bytes > 0 ? bytes : throw new InvalidOperationException("the change does not reach the proxy");
    }

    private static void VirtualService(MeshRig rig, int host, string mark)
    {
        static JsonObject Rule(string path, string mark) => new()
        {
            ["match"] = new JsonArray(new JsonObject { ["uri"] = new JsonObject { ["prefix"] = path } }),
            ["headers"] = new JsonObject { ["response"] = new JsonObject { ["set"] = new JsonObject { ["x-mark"] = mark } } },
            ["route"] = new JsonArray(new JsonObject { ["destination"] = new JsonObject { ["host"] = "app" } }),
        };
        var item = Item("VirtualService", $"h{host}", new()
        {
            ["hosts"] = new JsonArray($"h{host}.example.com"), ["gateways"] = new JsonArray("front"),
            ["http"] = new JsonArray(Rule("/a", "a"), Rule("/b", "b"), Rule("/c", "c"), Rule("/", mark)),
        });
        item["apiVersion"] = "networking.istio.io/v1";
        rig.Writer.PutConfig("c1", item);
    }

    /// <returns>The CPU milliseconds of each.</returns>
    private static double Measured(Action<int> change)
    {
        var before = Cpu;
        for (var i = 0; i < Changes; i++) change(i);
        return (Cpu - before).TotalMilliseconds / Changes;
    }

    private static TimeSpan Cpu => Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>A Gateway that a proxy of the rig serves, its ListenerSets, and a Service to route to.</summary>
    internal static MeshRig Mesh(int sets, int target = 80)
    {
        var rig = new MeshRig("c1");
        rig.App("c1", "app", "10.96.1.1", "10.244.1.1");
        rig.Writer.Put("c1", new Service
        {
            Metadata = new() { Name = "front", Namespace = MeshRig.Namespace },
            Spec = new() { Type = "ClusterIP", ClusterIP = "10.96.0.20", ClusterIPs = ["10.96.0.20"], Selector = { ["app"] = "front" },
                Ports = { new() { Name = "http", Port = 80, TargetPort = JsonValue.Create(target) } } },
        });
        rig.Config("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: Gateway
            metadata: {name: front, namespace: shop}
            spec: {gatewayClassName: istio, allowedListeners: {namespaces: {from: All} },
                listeners: [{name: http, port: 80, protocol: HTTP, hostname: front.example.com}]}
            """);
        for (var set = 0; set < sets; set++)
        {
            rig.Writer.PutConfig("c1", Item("ListenerSet", $"set{set}", new()
            {
                ["parentRef"] = new JsonObject { ["name"] = "front" },
                ["listeners"] = new JsonArray(new JsonObject { ["name"] = "http", ["port"] = 80, ["protocol"] = "HTTP",
                    ["hostname"] = $"*.s{set}.example.com" }),
            }));
        }
        return rig;
    }

    /// <summary>A route with a host of its own.</summary>
    /// <param name="filter">Null: none.</param>
    internal static void Route(MeshRig rig, int route, string mark, int sets = int.MaxValue, JsonObject? filter = null)
    {
        var set = route / RoutesOfSet % sets;
        var rule = new JsonObject
        {
            ["matches"] = new JsonArray(new JsonObject { ["path"] = new JsonObject { ["type"] = "PathPrefix", ["value"] = $"/{mark}" } }),
        };
        if (filter is null) rule["backendRefs"] = new JsonArray(new JsonObject { ["name"] = "app", ["port"] = 80 });
        else rule["filters"] = new JsonArray(filter);
        rig.Writer.PutConfig("c1", Item("HTTPRoute", $"route{route}", new()
        {
            ["parentRefs"] = new JsonArray(new JsonObject { ["kind"] = "ListenerSet", ["group"] = "gateway.networking.k8s.io", ["name"] = $"set{set}" }),
            ["hostnames"] = new JsonArray($"r{route}.s{set}.example.com"),
            ["rules"] = new JsonArray(rule),
        }));
    }

    private static JsonObject Item(string kind, string name, JsonObject spec) => new()
    {
        ["apiVersion"] = "gateway.networking.k8s.io/v1", ["kind"] = kind,
        ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = MeshRig.Namespace, ["creationTimestamp"] = "2026-01-01T00:00:00Z" }, ["spec"] = spec,
    };
}
