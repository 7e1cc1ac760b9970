using System.Text.Json.Nodes;
using Isthmus.Explain.Tracing;
using Isthmus.Explain.Tracing.Calls;
using Isthmus.Kubernetes.Objects;
using Isthmus.Mesh.Config;
using Isthmus.Operate.Diagnose;
using Isthmus.Operate.Install;
using Xunit;

namespace Isthmus.Tests.LoopbackMesh;

/// <summary>
/// <c>isthmus trace</c> against running control planes and proxies: it names the first cause of faults that are injected
/// under random names, and finds nothing wrong with unusual meshes that are correct.
/// </summary>
[Collection(nameof(SharedLoopbackMesh))]
public sealed class TraceTests(LoopbackMeshRig mesh, FaultyServices services)
{
    private const string Gateway = "istio-eastwestgateway", System = "istio-system", Network = "topology.istio.io/network",
        Remote = "istio-remote-secret-cluster2";

    private static readonly ResourceKind Gateways = Manifests.ResourceOf(MeshApi.FindIstio("networking.istio.io/v1", "Gateway")!);

    /// <summary>Who calls what; the calls get through.</summary>
    private static readonly (string Caller, string Target, string Cause)[] Odd =
    [
        ("$caller", "$both:18081/hello", ""), // a port of its own, leading to a named one
        ("$caller", "$both:17001", ""), // TCP
        ("$caller", "tcp://$both.$ns.svc.cluster.local:17001", ""),
        ("$caller", "$remote:8000/hello", ""), // only in the other cluster
        ("$caller", "$sealed", ""), // TLS of the application's own
        ("$caller", "$split/hello", ""), // subsets in both clusters
        ("$caller", "$guarded.$other/hello", ""), // STRICT
        ("$caller", "$open/hello", ""), // without a sidecar, called in plain text
        ("$plain", "$both:18081/hello", ""), // a caller without a sidecar
        ("$caller", "$bin/status/404", ""), // the application's own answer
        ("$caller", "tcp://$patient:17003", ""), // a server that answers when the client has said all
        ("$caller", "tcp://$patient:17004", ""), // one that says nothing
        ("$caller", "http://$guessed:81/", ""), // what the bytes say
        ("$caller", "grpc://$guessed:82/", ""),
        ("$caller", "https://$guessed:83/", ""),
        ("$caller", "tcp://$guessed:84", ""),
        ("$caller", "tcp://$guessed:85", ""),
        ("$caller", "http://$redis:81/", ""), // copied bytes
        ("$caller", "grpc://$redis:82/", ""),
        ("$caller", "https://$redis:83/", ""),
        ("$caller", "tcp://$redis:84", ""),
        ("$caller", "tcp://$redis:85", ""),
        ("$caller", "ws://$socket/chat", ""),
        ("$caller", "$bilingual:8012/hello", ""), // TCP here, HTTP in the other cluster
    ];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_is_wrong_with_odd_meshes_that_are_in_order()
    {
        await ReadyAsync();
        await mesh.ScaleAsync("cluster2", System, Gateway, 2);
        foreach (var call in Odd) await ExpectAsync(call);
    }

    [Fact]
    public async Task The_first_cause_of_each_fault_is_named_with_its_object()
    {
        await ReadyAsync();
        // Until the last workload answers, calls fail only because workloads are starting.
        await ExpectAsync(("$caller", "$split/hello", ""));
        foreach (var fault in InjectedFault.All) await ExpectAsync((fault.Caller, fault.Target, fault.Trace), fault.Request(services));
    }

    /// <summary>A trace asks before it says that a proxy has not received something.</summary>
    [Fact]
    public async Task Control_planes_say_which_proxies_follow_them()
    {
        await ReadyAsync();
        await ExpectAsync(("$caller", "$split/hello", ""));
        var query = new MeshQuery(mesh.Client("cluster1"), System);
        var (ns, pod) = await query.ResolvePodAsync($"deployment/{Name("caller")}", Name("ns"), Stop);
        await mesh.UntilAsync(async () => $"{await query.FollowsAsync($"{pod}.{ns}", Stop)}", text => text == "True", "the proxy has all that it was sent");
        Assert.False(await query.FollowsAsync($"absent.{Name("ns")}", Stop));
    }

    [Fact]
    public async Task What_the_caller_sends_decides_about_routes_and_policies()
    {
        await ReadyAsync();
        await ExpectAsync(("$caller", "$tokened/hello", ""), SentRequest.Parse("", [], "", services.Tokens.Sign(InjectedFault.Claims(services, 1))));
        await ExpectAsync(("$caller", "$split/hello", ""), SentRequest.Parse("", ["Tier: silver"], "", ""));
        await ExpectAsync(("$caller", "$domain/admin", ""), SentRequest.Parse("put", [], "", ""));
        await ExpectAsync(("$caller", "$bin/status/201", ""), SentRequest.Parse("", ["x-a: b"], "", ""));
        // The caller's proxy answers the one; the other one is a request like any.
        string[] preflight = ["origin: https://www.shop.example", "access-control-request-method: GET"];
        await ExpectAsync(("$caller", "$preflight/hello", ""), SentRequest.Parse("OPTIONS", preflight, "", ""));
        await ExpectAsync(("$caller", "$preflight/hello", "ISM2064 | AuthorizationPolicy $ns/$preflight in cluster1 | denies"),
            SentRequest.Parse("OPTIONS", [], "", ""));
    }

    [Fact]
    public async Task A_part_that_gets_no_calls_is_named_while_another_answers()
    {
        await ReadyAsync();
        await WarnedAsync("$torn/hello", "ISM2051 Pod $ns/$faraway");
        await WarnedAsync("$halved.$half/hello", "ISM2051 Pod $half/$halved");
        await WarnedAsync("$crashing/hello", "ISM2047 Pod $ns/$crashing");
        await WarnedAsync("$late/headers", "VirtualService $ns/$late in cluster1 delays 100 % of the calls by 300 ms.");
        await WarnedAsync("$rewritten/api/hello", "VirtualService $ns/$rewritten in cluster1, spec.http[0].rewrite: changes the path /api/hello to /v1/hello");
        await WarnedAsync("$copied/hello", "ISM2010 VirtualService $ns/$copied in cluster1, spec.http[0].mirror.host: mirrors requests to "
            + "$nocopy.$ns.svc.cluster.local, and no Service");
        await WarnedAsync("grpc://$bytes:17005/", "ISM2095 VirtualService $ns/$bytes in cluster1, spec.http: has no effect");
        // Half of the endpoints are those of the ServiceEntry: calls are retried at the others.
        await WarnedAsync("$shadowed/hello", "ISM2018 ServiceEntry $ns/$shadow in cluster1");
    }

    /// <summary>The application ends TLS itself, with a certificate for a shorter name than the one that is called.</summary>
    [Fact]
    public async Task The_certificate_of_an_application_is_judged_as_clients_do()
    {
        await ReadyAsync();
        var target = Fill("$sealed.$ns");
        await mesh.UntilAsync(async () => TraceText.Write(await mesh.TraceAsync($"deployment/{Name("caller")}", Name("ns"), target), details: false),
            text => text.Contains("✔ The call gets through for clients that do not check certificates. 1 warning", StringComparison.Ordinal)
                && text.Contains($"ISM2102 Pod {Name("ns")}/", StringComparison.Ordinal)
                && text.Contains(Fill("shows the certificate CN=own, which is for $sealed, and not for $sealed.$ns"), StringComparison.Ordinal)
                && text.Contains("issued by itself", StringComparison.Ordinal),
            "the certificate that the call was shown is judged");
    }

    /// <summary>Whether proxies have recorded the call by then depends on how fast they notice that the caller is gone.</summary>
    [Fact]
    public async Task A_slow_answer_is_not_blamed_on_the_network()
    {
        await ReadyAsync();
        await mesh.UntilAsync(async () => TraceText.Write(await mesh.TraceAsync($"deployment/{Name("caller")}", Name("ns"), $"{Name("bin")}/delay/600"),
            details: false),
            text => text.Contains("(ISM2077)", StringComparison.Ordinal) && text.Contains($"Pod {Name("ns")}/{Name("here")}", StringComparison.Ordinal)
                && text.Contains("the limit of the trace, not of the mesh", StringComparison.Ordinal),
            "the trace names its own limit");
    }

    [Fact]
    public async Task Several_calls_are_counted_by_their_answers()
    {
        await ReadyAsync();
        CallTrace? trace = null;
        await mesh.UntilAsync(async () => TraceText.Write(trace = await mesh.TraceAsync($"deployment/{Name("caller")}", Name("ns"), $"{Name("bin")}/status/418",
            calls: 12), details: false), text => text.Contains("12 calls: 12 → 418", StringComparison.Ordinal), "each call is counted");
        Assert.True(trace!.Succeeds);
    }

    [Fact]
    public async Task Each_address_of_a_name_has_its_verdict_and_the_worst_decides()
    {
        await ReadyAsync();
        CallTrace? trace = null;
        Task FollowAsync(string target, string text) =>
            mesh.UntilAsync(async () => TraceText.Write(trace = await mesh.TraceAsync($"deployment/{Name("caller")}", Name("ns"), Fill(target)),
                details: false),
            answer => answer.Contains("The name has 2 addresses; the hops above are those of", StringComparison.Ordinal)
                && answer.Contains(Fill(text), StringComparison.Ordinal),
            text);

        await FollowAsync("tcp://$double.example.com:9000", "object  Service $ns/$deaf in cluster1");
        Assert.Equal([("10.77.0.1", true, ""), ("10.77.0.2", false, "ISM2070")],
            trace!.Addresses.Select(verdict => (verdict.Address, verdict.Succeeds, verdict.Problem?.Code ?? "")));
        Assert.All(trace.Addresses, verdict => Assert.NotNull(verdict.Call));
        var tree = TraceText.Tree(trace);
        Assert.Equal((false, "10.77.0.2"), ((bool)tree["succeeds"]!, tree["address"]!.ToString()));
        Assert.Equal([null, "ISM2070"], tree["addresses"]!.AsArray().Select(verdict => verdict!["cause"]?["code"]?.ToString()));

        await FollowAsync("http://$double.example.com:5000/hello", "✔ The call gets through.");
        Assert.Equal([200, 200], trace.Addresses.Select(verdict => verdict.Call?.Status));
        await FollowAsync("grpc://$double.example.com:5000/Hello/Say", "✔ The call gets through.");
        Assert.All(trace.Addresses, verdict => Assert.StartsWith("POST /Hello/Say", verdict.Call?.What, StringComparison.Ordinal));
    }

    /// <summary>Nothing enforces NetworkPolicies here, so a call proves that they are harmless, and without a call they are named.</summary>
    [Fact]
    public async Task A_NetworkPolicy_that_would_drop_a_call_is_named_until_a_call_gets_through()
    {
        await ReadyAsync();
        var (policies, client) = (new ResourceKind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", true), mesh.Client("cluster1"));
        await client.CreateAsync(policies, new JsonObject
        {
            ["apiVersion"] = policies.ApiVersion, ["kind"] = policies.Kind,
            ["metadata"] = new JsonObject { ["name"] = Name("fence"), ["namespace"] = Name("other") },
            ["spec"] = new JsonObject { ["podSelector"] = new JsonObject(), ["policyTypes"] = new JsonArray("Ingress") },
        }, Stop);
        try
        {
            await mesh.UntilAsync(async () =>
            {
                using var run = new TraceRun([.. LoopbackMeshRig.Clusters.Select(mesh.Access)], System, TimeProvider.System, new Random());
                var silent = await run.RunAsync(new($"deployment/{Name("caller")}", Name("ns"), TraceTarget.Parse(Fill("$guarded.$other/hello")), false,
                    TimeSpan.FromSeconds(3)),
                    Stop);
                return $"{silent.Succeeds} {silent.Hops.FirstOrDefault(hop => hop.Name == "packets")?.Problem?.Object}";
            }, answer => answer == Fill("True NetworkPolicy $other/$fence in cluster1"), "without a call, the policy is named");
            await ExpectAsync(("$caller", "$guarded.$other/hello", ""));
        }
        finally
        {
            await client.DeleteAsync(policies, Name("other"), Name("fence"), Stop);
        }
    }

    private Task WarnedAsync(string target, string warning) =>
        mesh.UntilAsync(async () => TraceText.Write(await mesh.TraceAsync($"deployment/{Name("caller")}", Name("ns"), Fill(target)), details: false),
        text => text.Contains("✔ The call gets through. ", StringComparison.Ordinal) && text.Contains(Fill(warning), StringComparison.Ordinal),
        $"{Fill(target)}: {Fill(warning)}");

    [Fact]
    public async Task Faults_of_the_mesh_itself_are_named_whatever_service_is_called()
    {
        await ReadyAsync();
        await ExpectAsync(("$caller", "$remote:8000/hello", ""));

        await mesh.ScaleAsync("cluster2", System, Gateway, 0);
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM2048 | Deployment istio-system/{Gateway} in cluster2 | is 0"));
        await VerifiedAsync($"ISM1006 Deployment istio-system/{Gateway} in cluster2");

        // While no gateway runs, so that the call fails by the missing Gateways alone.
        var client = mesh.Client("cluster2");
        var gateways = await client.ListAllAsync<JsonObject>(Gateways, System, new(), Stop);
        foreach (var gateway in gateways) await client.DeleteAsync(Gateways, System, gateway["metadata"]!["name"]!.ToString(), Stop);
        await mesh.ScaleAsync("cluster2", System, Gateway, 1);
        await ExpectAsync(("$caller", "$remote:8000/hello", "ISM1015 | cluster cluster2 | AUTO_PASSTHROUGH"));
        await VerifiedAsync("ISM1015 cluster cluster2");
        foreach (var gateway in gateways) await client.CreateAsync(Gateways, LoopbackMeshRig.Anew(gateway), Stop);

        await mesh.LabelAsync("cluster2", Kinds.Service, System, Gateway, Network, Name("net"));
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM1016 | Service istio-system/{Gateway} in cluster2 | is {Name("net")}"));
        await VerifiedAsync($"ISM1016 Service istio-system/{Gateway} in cluster2");
        await mesh.LabelAsync("cluster2", Kinds.Service, System, Gateway, Network, "network2");

        await SelectAsync(Name("net"));
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM2049 | Service istio-system/{Gateway} in cluster2 | istio={Name("net")}"));
        await VerifiedAsync($"ISM1006 Service istio-system/{Gateway} in cluster2");
        await mesh.UntilAsync(async () => string.Join('\n',
            (await mesh.AnalyzeAsync()).Select(finding => $"{finding.Cluster} {finding.Problem.Code} {finding.Problem}")),
            text => text.Contains($"cluster2 ISM1417 Service istio-system/{Gateway}: spec.selector", StringComparison.Ordinal), "analyze names the selector");
        await SelectAsync("eastwestgateway");

        var secret = await mesh.Client("cluster1").GetAsync(Kinds.Secret, System, Remote, Stop);
        await mesh.Client("cluster1").DeleteAsync(Kinds.Secret, System, Remote, Stop);
        await ExpectAsync(("$caller", "$remote:8000/hello", "ISM1021 | control plane of cluster1 | does not watch cluster2"));
        await VerifiedAsync("ISM1021 cluster cluster1");

        // The credentials of another cluster under the name of this one.
        var own = await mesh.Client("cluster2").GetAsync(Kinds.Secret, System, "istio-remote-secret-cluster1", Stop);
        var stray = LoopbackMeshRig.Anew(secret);
        stray["data"]!["cluster2"] = own["data"]!["cluster1"]!.ToString();
        await mesh.Client("cluster1").CreateAsync(Kinds.Secret, stray, Stop);
        await ExpectAsync(("$caller", "$remote:8000/hello", $"ISM1026 | Secret istio-system/{Remote} in cluster1 | its credentials lead to cluster1"));
        await VerifiedAsync($"ISM1026 Secret istio-system/{Remote} in cluster1");
        await mesh.Client("cluster1").DeleteAsync(Kinds.Secret, System, Remote, Stop);
        await mesh.Client("cluster1").CreateAsync(Kinds.Secret, LoopbackMeshRig.Anew(secret), Stop);
        await ExpectAsync(("$caller", "$remote:8000/hello", ""));
    }

    private Task SelectAsync(string gateway) =>
        mesh.PatchAsync("cluster2", Kinds.Service, System, Gateway,
            new() { ["spec"] = new JsonObject { ["selector"] = new JsonObject { ["istio"] = gateway } } });

    private Task VerifiedAsync(string problem) =>
        mesh.UntilAsync(async () => string.Join('\n', (await mesh.VerifyAsync()).Select(found => $"{found.Code} {found}")),
            text => text.Contains($"{problem}: ", StringComparison.Ordinal), $"verify finds {problem}");

    /// <summary>Repeats the trace until the answer is as expected: an injected fault takes a moment to reach the
    /// proxies.</summary>
    private async Task ExpectAsync((string Caller, string Target, string Cause) call, SentRequest? sent = null)
    {
        var (target, expected) = (Fill(call.Target), Fill(call.Cause));
        var wanted = expected.Split(" | ", StringSplitOptions.RemoveEmptyEntries);
        await mesh.UntilAsync(async () => TraceText.Write(await mesh.TraceAsync($"deployment/{Fill(call.Caller)}", Name("ns"), target, sent), details: false),
            text => expected.Length == 0
                ? text.Contains("✔ The call", StringComparison.Ordinal) && !text.Contains("✘", StringComparison.Ordinal)
                    && !text.Contains("! ", StringComparison.Ordinal)
                : text.Contains($"({wanted[0]})", StringComparison.Ordinal) && text.Contains($"object  {wanted[1]}", StringComparison.Ordinal)
                    && text[text.IndexOf("✘ The call fails", StringComparison.Ordinal)..].Contains(wanted[2], StringComparison.Ordinal),
            $"{call.Caller} → {target}: {(expected.Length == 0 ? "gets through" : expected)}");
    }

    private Task ReadyAsync() => services.ReadyAsync(mesh);

    private string Fill(string text) => services.Fill(text);

    private string Name(string word) => services.Name(word);
}
