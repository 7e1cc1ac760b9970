using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Client;
using Isthmus.Kubernetes.Objects;
using Isthmus.Testing;
using Isthmus.Tests.LoopbackMesh;
using Isthmus.WebConsole.Serving;
using Isthmus.WebConsole.Viewers;
using Xunit;

namespace Isthmus.Tests.WebConsole;

/// <summary>The console in a cluster: everyone sees what their own token may read. The API servers, their roles and the proxies are real.</summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class ViewerTests(LoopbackMeshRig mesh) : IAsyncLifetime
{
    private const string System = WellKnown.SystemNamespace;

    private static readonly ViewerLimits Limits = new(6, 3, TimeSpan.FromMinutes(10), TimeSpan.FromHours(8));

    private readonly ManualClock _clock = new();
    private readonly List<string> _log = [];
    private readonly List<(ResourceKind Kind, string? Namespace, string Name)> _made = [];
    private ViewerEntrance _entrance = null!;
    private ConsoleServer _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private KubeClient Client => mesh.Client("cluster1");

    public async ValueTask InitializeAsync()
    {
        // Tokens say when they end.
        _clock.Advance(DateTimeOffset.UtcNow - _clock.GetUtcNow());
        var home = mesh.Access("cluster1") with { ClientCertificate = null, ClientKey = null };
        _entrance = new(new ViewerSource(home, System) { Patience = TimeSpan.FromMinutes(2) }, System, Limits, _clock, line =>
        {
            lock (_log) _log.Add(line);
        });
        _server = new(_entrance, new ConsoleSite(IPAddress.Loopback, 0, _ => { }, _ => new("http", ["localhost", "127.0.0.1"], AnyPort: true)));
        await _server.StartAsync(Stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        await _entrance.DisposeAsync();
        foreach (var (kind, ns, name) in _made.AsEnumerable().Reverse()) await Client.DeleteAsync(kind, ns, name, CancellationToken.None);
    }

    private ConsolePage Page() => new(new($"http://127.0.0.1:{_server.Port}"));

    private async Task<string> MakeAsync(ResourceKind kind, string? ns, JsonObject value)
    {
        value["metadata"]!.AsObject()["namespace"] = ns;
        await Client.CreateAsync(kind, ns, value, Stop);
        _made.Add((kind, ns, value["metadata"]!["name"]!.ToString()));
        return value["metadata"]!["name"]!.ToString();
    }

    private static string Random(string prefix) => $"{prefix}-{RandomNumberGenerator.GetHexString(6, lowercase: true)}";

    /// <summary>A namespace with a Service.</summary>
    private async Task<(string Namespace, string Service)> ShopAsync()
    {
        var ns = await MakeAsync(Kinds.Namespace, null,
            new() { ["apiVersion"] = "v1", ["kind"] = "Namespace", ["metadata"] = new JsonObject { ["name"] = Random("shop") } });
        var service = new JsonObject
        {
            ["apiVersion"] = "v1", ["kind"] = "Service", ["metadata"] = new JsonObject { ["name"] = Random("orders") },
            ["spec"] = new JsonObject { ["ports"] = new JsonArray(new JsonObject { ["port"] = 80 }) }
        };
        return (ns, await MakeAsync(Kinds.Service, ns, service));
    }

    /// <summary>The token of a new account, which may do what the role says: everywhere without a namespace, otherwise there only.</summary>
    private Task<(string Name, string Token)> AccountAsync(string ns, string? where, params JsonObject[] rules) =>
        AccountAsync(ns, where, TimeSpan.FromHours(2), rules);

    private async Task<(string Name, string Token)> AccountAsync(string ns, string? where, TimeSpan lifetime, params JsonObject[] rules)
    {
        var name = await MakeAsync(Kinds.ServiceAccount, ns,
            new() { ["apiVersion"] = "v1", ["kind"] = "ServiceAccount", ["metadata"] = new JsonObject { ["name"] = Random("viewer") } });
        var (role, binding) = where is null ? ("ClusterRole", "ClusterRoleBinding") : ("Role", "RoleBinding");
        const string group = "rbac.authorization.k8s.io";
        JsonObject Made(string kind) => new() { ["apiVersion"] = $"{group}/v1", ["kind"] = kind, ["metadata"] = new JsonObject { ["name"] = name } };
        ResourceKind Kind(string kind) => new(group, "v1", kind, $"{kind.ToLowerInvariant()}s", where is not null);
        if (rules.Length > 0)
        {
            var made = Made(role);
            made["rules"] = new JsonArray([.. rules]);
            await MakeAsync(Kind(role), where, made);
            var bound = Made(binding);
            bound["roleRef"] = new JsonObject { ["apiGroup"] = group, ["kind"] = role, ["name"] = name };
            bound["subjects"] = new JsonArray(new JsonObject { ["kind"] = "ServiceAccount", ["name"] = name, ["namespace"] = ns });
            await MakeAsync(Kind(binding), where, bound);
        }
        var request = new JsonObject
        {
            ["apiVersion"] = "authentication.k8s.io/v1", ["kind"] = "TokenRequest",
            ["spec"] = new JsonObject { ["expirationSeconds"] = (int)lifetime.TotalSeconds }
        };
        var answer = JsonNode.Parse(await Client.RawAsync(HttpMethod.Post, Kinds.ServiceAccount.Path(ns, name, "token"), request, Stop))!;
        return ($"system:serviceaccount:{ns}:{name}", answer["status"]!["token"]!.ToString());
    }

    private static JsonObject Rule(string groups, string resources, string verbs)
    {
        static JsonArray Words(string text) => [.. text.Split(' ').Select(word => (JsonNode)(word == "core" ? "" : word))];
        return new() { ["apiGroups"] = Words(groups), ["resources"] = Words(resources), ["verbs"] = Words(verbs) };
    }

    private static JsonObject Everything() => Rule("*", "*", "get list watch create");

    private static JsonObject Lists() => Rule("core discovery.k8s.io", "services pods endpointslices", "get list");

    private static Func<JsonNode, bool> Has(string service) => topology => topology.ToJsonString().Contains(service, StringComparison.Ordinal);

    [Fact]
    public async Task Nobody_sees_anything_without_a_token_that_the_API_server_accepts()
    {
        using var page = Page();
        using var http = new HttpClient();
        Assert.Contains("console.js", await http.GetStringAsync(new Uri($"http://127.0.0.1:{_server.Port}/"), Stop), StringComparison.Ordinal);
        foreach (var name in (string[])["events", "pods", "service", "trace", "certificates", "configuration", "history", "refresh", "namespaces", "leave",
            "none"])
            Assert.Equal((HttpStatusCode.Unauthorized, "log in with a token for the API server of this cluster\n", true), await page.CallAsync(name, [], Stop));
        Assert.StartsWith("401 that is not a token", await page.LoginAsync("", Stop), StringComparison.Ordinal);
        Assert.StartsWith("401 that is not a token", await page.LoginAsync("two words", Stop), StringComparison.Ordinal);
        Assert.StartsWith("401 the API server refuses the token: ", await page.LoginAsync("guess", Stop), StringComparison.Ordinal);
        var (_, token) = await AccountAsync(System, null);
        Assert.StartsWith("401 the API server refuses the token: ", await page.LoginAsync(token[..^40] + new string('A', 40), Stop), StringComparison.Ordinal);
        page.Token = "guess";
        Assert.Equal((HttpStatusCode.Unauthorized, true),
            await page.CallAsync("pods", [], Stop) is var refused ? (refused.Status, refused.AsksForToken) : default);
        Assert.Equal(0, _entrance.Count);
    }

    [Fact]
    public async Task A_viewer_with_all_rights_sees_the_mesh_and_the_clusters_of_remote_secrets()
    {
        var (name, token) = await AccountAsync(System, null, Everything());
        using var page = Page();
        Assert.Null(await page.LoginAsync(token, Stop));
        Assert.Contains("httponly", page.CookieRules, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("samesite=strict", page.CookieRules, StringComparison.OrdinalIgnoreCase);
        var topology = (await page.EventAsync("topology", whole => !(bool)whole["isPart"]!, Stop))!;
        Assert.Equal(["cluster1", "cluster2"], topology["clusters"]!.AsArray().Select(cluster => cluster!["context"]!.ToString()));
        Assert.Single(topology["clusters"]![0]!["controlPlanes"]!.AsArray());
        Assert.Empty(topology["clusters"]![0]!["withheld"]!.AsArray());
        Assert.Equal(name, (await page.EventAsync("viewer", _ => true, Stop))!["user"]!.ToString());
        // The other cluster is read with what its remote secret allows, and the page says what that does not.
        Assert.Contains("cluster2: ", (await page.EventAsync("problems", _ => true, Stop))!["unverified"]!.ToJsonString(), StringComparison.Ordinal);
        var gateway = mesh.Pod("cluster1", System, "istio-eastwestgateway").Pod.Metadata.Name;
        var tables = await page.CallAsync("configuration", new() { ["cluster"] = "cluster1", ["namespace"] = System, ["pod"] = gateway, ["part"] = "clusters" },
            Stop);
        Assert.True(tables.Status == HttpStatusCode.OK, tables.Body);
    }

    [Fact]
    public async Task A_viewer_of_one_namespace_sees_only_that_and_is_told_what_is_missing()
    {
        var (own, other) = (await ShopAsync(), await ShopAsync());
        var (_, token) = await AccountAsync(own.Namespace, own.Namespace, Lists());
        using var page = Page();
        Assert.Null(await page.LoginAsync(token, Stop));
        var topology = (await page.EventAsync("topology", _ => true, Stop))!;
        Assert.Equal(own.Service, Assert.Single(topology["services"]!.AsArray())!["name"]!.ToString());
        var cluster = Assert.Single(topology["clusters"]!.AsArray())!;
        Assert.Equal("", cluster["error"]!.ToString());
        Assert.Equal([$"endpointslices.discovery.k8s.io: you may list those of {own.Namespace} only", $"pods: you may list those of {own.Namespace} only",
            $"services: you may list those of {own.Namespace} only"],
            cluster["withheld"]!.AsArray().Select(line => line!.ToString()));
        Assert.Contains("other clusters are not shown: you may not read the remote secrets",
            (await page.EventAsync("viewer", _ => true, Stop))!["notes"]!.ToJsonString(), StringComparison.Ordinal);
        var problems = (await page.EventAsync("problems", _ => true, Stop))!;
        Assert.Contains("forbidden", Assert.Single(problems["unverified"]!.AsArray())!.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain(other.Service, topology.ToJsonString() + problems.ToJsonString(), StringComparison.Ordinal);
        // Rules of that namespace that they may not read are not silently none.
        var service = JsonNode.Parse((await page.CallAsync("service", new() { ["namespace"] = own.Namespace, ["name"] = own.Service }, Stop)).Body)!;
        Assert.Contains("authorizationpolicies.security.istio.io: you may list none", service["withheld"]!.ToJsonString(), StringComparison.Ordinal);
        var missing = await page.CallAsync("service", new() { ["namespace"] = other.Namespace, ["name"] = other.Service }, Stop);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, missing.Status);
        foreach (var (call, arguments) in ((string, JsonObject)[])[("history", new() { ["since"] = "1h" }),
            ("configuration",
                new() { ["cluster"] = "cluster1", ["namespace"] = System, ["pod"] = mesh.Pod("cluster1", System, "istio-eastwestgateway").Pod.Metadata.Name })])
        {
            var (status, body, _) = await page.CallAsync(call, arguments, Stop);
            Assert.Equal((HttpStatusCode.UnprocessableEntity, call), (status, call));
            Assert.Contains("403", body.Replace("forbidden", "403", StringComparison.OrdinalIgnoreCase), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_viewer_names_other_namespaces_and_sees_those_that_the_token_may_read()
    {
        var (home, shop, hidden) = (await ShopAsync(), await ShopAsync(), await ShopAsync());
        var (_, token) = await AccountAsync(home.Namespace, shop.Namespace, Lists());
        using var page = Page();
        page.Token = token;
        Assert.DoesNotContain(shop.Service, (await page.EventAsync("topology", _ => true, Stop))!.ToJsonString(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await page.CallAsync("namespaces", new() { ["names"] = $"{shop.Namespace}, {hidden.Namespace}" }, Stop)).Status);
        var topology = (await page.EventAsync("topology", Has(shop.Service), Stop))!;
        Assert.Equal(shop.Service, Assert.Single(topology["services"]!.AsArray())!["name"]!.ToString());
    }

    [Fact]
    public async Task Two_viewers_at_once_do_not_mix()
    {
        var (first, second) = (await ShopAsync(), await ShopAsync());
        using var one = Page();
        using var other = Page();
        Assert.Null(await one.LoginAsync((await AccountAsync(first.Namespace, first.Namespace, Lists())).Token, Stop));
        Assert.Null(await other.LoginAsync((await AccountAsync(second.Namespace, second.Namespace, Lists())).Token, Stop));
        var pictures = await Task.WhenAll(one.EventAsync("topology", _ => true, Stop), other.EventAsync("topology", _ => true, Stop));
        Assert.Equal([first.Service, second.Service], pictures.Select(picture => Assert.Single(picture!["services"]!.AsArray())!["name"]!.ToString()));
        // A cookie alone, which browsers send to every port of a host, does not open the session, nor does another's key.
        var own = other.Key;
        foreach (var key in (string[])["", one.Key, $"{own}x"])
        {
            other.Key = key;
            Assert.Equal(HttpStatusCode.Unauthorized, (await other.CallAsync("pods", [], Stop)).Status);
        }
        other.Key = own;
        Assert.Equal(HttpStatusCode.OK, (await other.CallAsync("pods", [], Stop)).Status);
        // One leaves, and the other stays.
        Assert.Equal(HttpStatusCode.OK, (await one.CallAsync("leave", [], Stop)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await one.CallAsync("pods", [], Stop)).Status);
        Assert.Equal(HttpStatusCode.OK, (await other.CallAsync("pods", [], Stop)).Status);
    }

    [Fact]
    public async Task Calls_without_the_key_of_a_session_do_not_keep_it_alive()
    {
        var shop = await ShopAsync();
        using var page = Page();
        Assert.Null(await page.LoginAsync((await AccountAsync(shop.Namespace, shop.Namespace, Lists())).Token, Stop));
        var key = page.Key;
        _clock.Advance(Limits.Idle - TimeSpan.FromSeconds(1));
        page.Key = "guess";
        Assert.Equal(HttpStatusCode.Unauthorized, (await page.CallAsync("pods", [], Stop)).Status);
        page.Key = key;
        _clock.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal((HttpStatusCode.Unauthorized, "the session has ended: log in again\n", true), await page.CallAsync("pods", [], Stop));
    }

    [Fact]
    public async Task A_session_ends_without_a_page_with_its_token_and_when_the_token_is_revoked()
    {
        var shop = await ShopAsync();
        var (_, token) = await AccountAsync(shop.Namespace, shop.Namespace, Lists());
        using var page = Page();
        Assert.Null(await page.LoginAsync(token, Stop));
        _clock.Advance(Limits.Idle - TimeSpan.FromSeconds(1));
        Assert.Equal(HttpStatusCode.OK, (await page.CallAsync("pods", [], Stop)).Status);
        _clock.Advance(Limits.Idle);
        Assert.Equal((HttpStatusCode.Unauthorized, "the session has ended: log in again\n", true), await page.CallAsync("pods", [], Stop));
        // An open page keeps it, but not longer than the token, which lasts two hours.
        Assert.Null(await page.LoginAsync(token, Stop));
        var stream = await page.ListenAsync("none", _ => true, Stop);
        Assert.NotNull(await page.EventAsync("topology", _ => true, Stop));
        _clock.Advance(TimeSpan.FromMinutes(30));
        _entrance.Sweep();
        Assert.Equal(1, _entrance.Count);
        _clock.Advance(TimeSpan.FromHours(2));
        _entrance.Sweep();
        Assert.Null(await stream);
        Assert.Equal(0, _entrance.Count);
        // A revoked token.
        var (name, revoked) = await AccountAsync(shop.Namespace, shop.Namespace, TimeSpan.FromHours(9), Lists());
        Assert.Null(await page.LoginAsync(revoked, Stop));
        stream = await page.ListenAsync("none", _ => true, Stop);
        await Client.DeleteAsync(Kinds.ServiceAccount, shop.Namespace, name.Split(':')[^1], Stop);
        Assert.Null(await stream);
        Assert.Equal("the session has ended: log in again\n", (await page.CallAsync("pods", [], Stop)).Body);
        lock (_log) Assert.DoesNotContain(_log, line => line.Contains(token, StringComparison.Ordinal) || line.Contains(revoked, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Sessions_are_bounded_for_each_user_and_altogether()
    {
        var shop = await ShopAsync();
        var (_, token) = await AccountAsync(shop.Namespace, shop.Namespace, Lists());
        using var page = Page();
        for (var i = 0; i < Limits.PerUser + 3; i++)
        {
            Assert.Null(await page.LoginAsync(token, Stop));
            _clock.Advance(TimeSpan.FromSeconds(1));
        }
        Assert.Equal(Limits.PerUser, _entrance.Count);
        // Others take the places of those who have no page open, and nobody those of who has one.
        Assert.NotNull(await page.EventAsync("topology", _ => true, Stop));
        List<ConsolePage> others = [];
        List<Task> streams = [];
        try
        {
            for (var i = 0; i < Limits.Sessions; i++)
            {
                others.Add(Page());
                others[^1].Token = (await AccountAsync(shop.Namespace, shop.Namespace, Lists())).Token;
                streams.Add(await others[^1].ListenAsync("none", _ => true, Stop));
                Assert.InRange(_entrance.Count, 1, Limits.Sessions);
            }
            Assert.Equal(Limits.Sessions, _entrance.Count);
            Assert.Equal("503 too many people use the console at the moment: try again later", await page.LoginAsync(token, Stop));
        }
        finally
        {
            foreach (var other in others) other.Dispose();
            foreach (var stream in streams) await stream.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }
    }
}
