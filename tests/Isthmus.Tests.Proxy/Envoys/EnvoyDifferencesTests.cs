using System.Text;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Isthmus.Proxy;
using Isthmus.Proxy.Snapshot;
using Isthmus.Proxy.Telemetry;
using Isthmus.Proxy.Transports;
using Isthmus.Rigs.Proxy;
using Isthmus.Testing;
using Isthmus.Wire;
using Isthmus.Wire.Envoy.Clusters;
using Isthmus.Wire.Envoy.Listeners;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Isthmus.Tests.Proxy.Envoys;

/// <summary>The same requests, answers and policies through our proxy and a real Envoy, with the same configuration.</summary>
public sealed class EnvoyDifferencesTests : IAsyncDisposable
{
    private const string Page = "docs/envoy-differences.md";

    private readonly ScriptedServer _server = new();
    private readonly ReservedPort _nobody = new();
    private readonly List<ReservedPort> _ports = [];

    private static IEnumerable<ProxyCase> Cases => [.. RequestCases.All, .. AnswerCases.All, .. PolicyCases.All];

    public async ValueTask DisposeAsync()
    {
        foreach (var port in _ports) port.Dispose();
        _nobody.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public void Names_are_used_once()
    {
        Assert.Empty(Cases.GroupBy(one => one.Name).Where(group => group.Count() > 1).Select(group => group.Key));
        Assert.Empty(Cases.Select(one => one.Setting).Except(PeerSettings.All.Select(setting => setting.Name)));
        Assert.Empty(PeerSettings.All.Select(setting => setting.Name).Except(Cases.Select(one => one.Setting)));
    }

    /// <summary><c>./test --accept</c> rewrites what is expected.</summary>
    [Fact]
    public async Task Our_proxy_answers_each_case_as_before()
    {
        using var proxy = OurProxy(out var ports);
        var text = new StringBuilder();
        foreach (var one in Cases)
        {
            text.Append($"{one.Name}\n");
            foreach (var (part, value) in await RunAsync(one, ports)) text.Append($"  {part}: {value}\n");
        }
        Golden.Verify(text.ToString(), "outcomes");
    }

    [Fact]
    public async Task Each_difference_to_Envoy_is_explained_and_each_explanation_is_needed()
    {
        var program = RealEnvoy.Find();
        Assert.SkipWhen(program is null, RealEnvoy.Missing);
        using var proxy = OurProxy(out var ours);
        using var envoy = new StaticEnvoy(program!, PeerSettings.All.Select(setting => setting.ListenerJson(0)), PeerSettings.All.Select(ClusterOf));
        var envoys = await envoy.PortsAsync(TestContext.Current.CancellationToken);
        var rows = Repository.Table(Page, "id", "cases", "part", "Isthmus", "Envoy", "why");
        Assert.NotEmpty(rows);
        var idle = rows.ToHashSet();
        var unexplained = new List<string>();
        foreach (var one in Cases)
        {
            foreach (var (part, our, theirs) in Outcome.Differences(await RunAsync(one, ours), await RunAsync(one, envoys)))
            {
                var found = rows.Where(row => row.Skip(1).Take(4).Zip((string[])[one.Name, part, our, theirs]).All(pair => Matches(pair.First, pair.Second)))
                    .ToList();
                idle.ExceptWith(found);
                if (found.Count == 0) unexplained.Add($"| {one.Name} | {part} | `{our}` | `{theirs}` |");
            }
        }
        Assert.True(unexplained.Count == 0, $"{Page} does not name:\n{string.Join('\n', unexplained)}");
        Assert.True(idle.Count == 0, $"{Page} names what no longer differs:\n{string.Join('\n', idle.Select(row => string.Join(" | ", row.Take(5))))}");
    }

    /// <summary>Whether a text is as a pattern with asterisks says, or one of several patterns after commas.</summary>
    private static bool Matches(string pattern, string text) => pattern == text || pattern.Split(", ").Any(one =>
        System.IO.Enumeration.FileSystemName.MatchesSimpleExpression(one.Replace("\\", "\\\\", StringComparison.Ordinal), text, ignoreCase: false));

    private async Task<SortedDictionary<string, string>> RunAsync(ProxyCase one, IReadOnlyDictionary<string, int> ports)
    {
        var turn = _server.Begin(one.Answer, PeerSettings.All.First(setting => setting.Name == one.Setting).IsHttp2);
        var (answers, end) = await ScriptedClient.SendAsync(one, ports[one.Setting]);
        // The server's part is over when the proxy has answered; a request that the proxy repeats or mirrors comes before.
        return Outcome.Of(answers, end, turn.Heard);
    }

    private string ClusterOf(ProxySetting setting) => setting.ClusterJson(setting.HasServer ? _server.Port : _nobody.Number);

    private DataPlane OurProxy(out IReadOnlyDictionary<string, int> open)
    {
        var plane = DataPlane.Build(ProxySettings.Default(ProxyIdentity.Unknown, "router"),
            new ProxyPorts(TimeProvider.System, new ThreadRandom(), new ProcessSockets(), new SystemResolver()) { ReadText = _ => null },
            new NoSecrets(), new NoLogs(), NullLoggerFactory.Instance);
        var ports = new Dictionary<string, int>();
        foreach (var setting in PeerSettings.All)
        {
            _ports.Add(new());
            ports[setting.Name] = _ports[^1].Number;
        }
        Apply(TypeUrls.Cluster, setting => WireTypes.Strict.Parse<Cluster>(ClusterOf(setting)));
        Apply(TypeUrls.Listener, setting => WireTypes.Strict.Parse<Listener>(setting.ListenerJson(ports[setting.Name])));
        Assert.Empty(plane.ListenerFailures);
        open = ports;
        return plane;

        void Apply(string type, Func<ProxySetting, IMessage> read) => Assert.Empty(plane.State.Apply(new(type, [.. PeerSettings.All.Select(setting =>
            new NamedResource(setting.Name, "1", new Any { TypeUrl = type, Value = read(setting).ToByteString() }))], [], "1")));
    }

    private sealed class NoLogs : ILogFiles
    {
        public Stream Open(string path) => Stream.Null;
    }
}
