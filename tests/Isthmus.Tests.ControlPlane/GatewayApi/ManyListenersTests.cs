using Isthmus.ControlPlane.Push;
using Isthmus.Mesh.Model.GatewayApi;
using Isthmus.Wire.Envoy.Routes;
using Isthmus.Wire.Xds;
using Xunit;

namespace Isthmus.Tests.ControlPlane.GatewayApi;

/// <summary>What a gateway has grows with the number of its listeners over TLS, not with the square, and refuses what belongs to others.</summary>
public sealed class ManyListenersTests
{
    private static readonly string[] Names = ["", "*.a", "x.a", "*.b.a", "x.b.a", "y.b.a", "*.c.b.a", "z.c.b.a", "d.e", "*.e", "*.f.e", "g"];
    private static readonly string[] Requests = ["a", "w.a", "x.a", "x.b.a", "w.b.a", "y.b.a", "w.c.b.a", "z.c.b.a", "d.e", "w.e", "w.f.e", "g", "other"];

    /// <param name="most">How many virtual hosts all tables have together at most.</param>
    [Theory]
    // Each table lists all others as long as they are few,
    [InlineData("h{0}.example{0}.com", 64, 64 * 64)]
    // and then its own host and the one for everything else.
    [InlineData("h{0}.example{0}.com", 100, 2 * 100)]
    [InlineData("h{0}.example{0}.com", 1_000, 2 * 1_000)]
    [InlineData("h{0}.example{0}.com", 4_096, 2 * 4_096)]
    // One for every host: the others name only that one, and it names all of them.
    [InlineData("h{0}.example.com|*", 1_000, 3 * 1_000)]
    // Each one below the one before: a name is in the table of the next wider one.
    [InlineData("nested", 100, 3 * 100)]
    public void Tables_of_one_port_have_a_few_hosts_for_each_listener(string pattern, int count, int most)
    {
        var kinds = pattern.Split('|');
        var tables = Tables(Door([.. Enumerable.Range(0, count).Select(number =>
            pattern == "nested" ? $"*{string.Concat(Enumerable.Repeat(".a", number + 1))}"
            : number == 0 && kinds.Length > 1 ? "" : string.Format(null, System.Text.CompositeFormat.Parse(kinds[0]), number))]));
        Assert.Equal(count, tables.Count);
        Assert.InRange(tables.Sum(table => table.VirtualHosts.Count), count, most);
    }

    /// <summary>As the API has it: a request of another listener gets 421, and one that is nobody's 404.</summary>
    [Fact]
    public void A_request_is_misdirected_if_another_listener_fits_it_better()
    {
        for (var seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            string[] hosts = [.. Names.Where(_ => random.Next(3) > 0).DefaultIfEmpty("g")];
            foreach (var (table, host) in Tables(Door(hosts)).Select(table => (table, hosts[int.Parse(table.Name.Split('.')[2][1..], null)])))
            {
                foreach (var request in Requests)
                {
                    var owner = hosts.Where(known => IsFor(known, request)).MaxBy(known => (known == request, known.Length));
                    Assert.True((owner is null || owner == host ? 404 : 421) == Answer(table, request),
                        $"seed {seed}, [{string.Join(' ', hosts)}], a connection for '{host}', a request for '{request}': {Answer(table, request)}");
                }
            }
        }
    }

    [Fact]
    public void Of_many_listeners_none_answers_for_another_and_each_for_its_own_host()
    {
        string[] hosts = ["*.a", .. Enumerable.Range(0, 90).Select(number => $"h{number}.com"), "x.a"];
        var tables = Tables(Door(hosts)).ToDictionary(table => table.Name.Split('.')[2], StringComparer.Ordinal);
        Assert.Equal((404, 421, 421), (Answer(tables["l7"], "h6.com"), Answer(tables["l7"], "h5.com"), Answer(tables["l7"], "x.a")));
        Assert.Equal((404, 421, 421), (Answer(tables["l0"], "w.a"), Answer(tables["l0"], "x.a"), Answer(tables["l0"], "h5.com")));
    }

    private static bool IsFor(string host, string request) =>
        host.Length == 0 || host == request || (host[0] == '*' && request.EndsWith(host[1..], StringComparison.Ordinal));

    /// <summary>What proxies answer: of the virtual hosts, the most exact one for the request counts.</summary>
    private static int Answer(RouteConfiguration table, string request)
    {
        var found = table.VirtualHosts.SelectMany(host => host.Domains.Select(domain => (host, domain)))
            .Where(item => IsFor(item.domain, request)).OrderByDescending(item => item.domain == request).ThenByDescending(item => item.domain.Length)
            .FirstOrDefault().host;
        return found?.Routes.FirstOrDefault()?.DirectResponse is { } direct ? (int)direct.Status : 404;
    }

    /// <summary>A gateway with a listener <c>lN</c> for each host, in sets of 50, and without routes.</summary>
    private static ProxyFeed Door(string[] hosts)
    {
        var yaml = """
            {apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: door, namespace: shop}, spec: {gatewayClassName: istio,
             allowedListeners: {namespaces: {from: Same}}, listeners: [{name: plain, port: 80, protocol: HTTP}]} }

            """ + string.Concat(hosts.Index().Chunk(50).Select((listeners, set) => $$"""
            ---
            {apiVersion: gateway.networking.k8s.io/v1, kind: ListenerSet, metadata: {name: set{{set}}, namespace: shop}, spec: {parentRef: {name: door},
             listeners: [{{string.Join(", ", listeners.Select(item => $$"""
            {name: l{{item.Index}}, port: 443, protocol: HTTPS{{(item.Item.Length > 0 ? $", hostname: '{item.Item}'" : "")}},
             tls: {certificateRefs: [{name: cert}]} }
            """))}}]} }

            """));
        var rig = new GatewayApiRig(yaml).Certificate("shop", "cert");
        rig.Mesh.Service("c1", "door", "10.96.0.5", "https", 443, 8443);
        var door = rig.Mesh.Router("c1", "door", labels: new() { [GatewayNaming.GatewayLabel] = "door" });
        rig.Mesh.Push();
        return door;
    }

    private static List<RouteConfiguration> Tables(ProxyFeed door) => [.. door.Snapshot!.Types[TypeUrls.Route].All
        .Select(item => RouteConfiguration.Parser.ParseFrom(item.Body.Value)).Where(table => table.Name.StartsWith("https.", StringComparison.Ordinal))];
}
