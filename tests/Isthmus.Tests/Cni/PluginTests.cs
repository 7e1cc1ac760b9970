using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Cni.Requests;
using Isthmus.CniPlugin;
using Isthmus.Core.Tasks;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Cni;

/// <summary>The plug-in as runtimes call it, and the socket by which it asks the agent.</summary>
public sealed class PluginTests : IDisposable
{
    private const string Pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_INFRA_CONTAINER_ID=c1;K8S_POD_UID=u1";

    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-cni-").FullName;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Socket => Path.Combine(_directory, "run/agent.sock");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("0.3.1",
        """{"cniVersion":"0.3.1","interfaces":[{"name":"eth0","sandbox":"/n"}],"ips":[{"version":"4","address":"10.1.0.5/24","interface":0}],"dns":{}}""")]
    [InlineData("0.4.0", """{"cniVersion":"0.4.0","ips":[]}""")]
    [InlineData("1.0.0", """{"cniVersion":"1.0.0","ips":[{"address":"10.1.0.5/24"}],"x-unknown":{"a":[1.50,null]}}""")]
    [InlineData("1.1.0", """{"cniVersion":"1.1.0"}""")]
    public void The_result_of_the_chain_is_passed_on(string version, string result)
    {
        var (code, output, errors) = Run("ADD", Configuration(version, result));
        Assert.Equal((0, result), (code, output));
        Assert.Equal($"istio-cni: no agent listens on {Socket}; shop/web-1 starts without traffic capture\n", errors);
    }

    [Theory]
    [InlineData("DEL", "")]
    [InlineData("CHECK", "")]
    [InlineData("GC", "")]
    [InlineData("STATUS", "")]
    [InlineData("VERSION", """{"cniVersion":"1.0.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}""")]
    public void Other_commands_need_no_agent(string command, string output) => Assert.Equal((0, output, ""), Run(command, Configuration("1.0.0", "{}")));

    [Theory]
    [InlineData("ADD", "", """{"cniVersion":"1.1.0","code":6,"msg":"istio-cni: the network configuration is not JSON",""")]
    [InlineData("ADD", """{"cniVersion":"1.0.0","name":"a","name":"b"}""",
        """{"cniVersion":"1.1.0","code":6,"msg":"istio-cni: the network configuration is not JSON",""")]
    [InlineData("ADD", "[]", """{"cniVersion":"1.1.0","code":6,"msg":"istio-cni: the network configuration is not a JSON object"}""")]
    [InlineData("ADD", """{"cniVersion":"9.0.0"}""", """{"cniVersion":"9.0.0","code":1,"msg":"istio-cni: CNI version 9.0.0 is not supported",""")]
    [InlineData("", """{"cniVersion":"1.0.0"}""", """{"cniVersion":"1.0.0","code":4,"msg":"istio-cni: CNI_COMMAND \u0027\u0027 is not a command",""")]
    public void A_call_that_is_wrong_gets_an_error_of_the_specification(string command, string input, string output)
    {
        var (code, said, _) = Run(command, input);
        Assert.Equal(1, code);
        Assert.StartsWith(output, said, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_without_end_is_refused()
    {
        var (code, said, _) = Run("ADD", new string(' ', 3 << 20));
        Assert.Equal(1, code);
        Assert.Contains("larger than 1024 KiB", said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_agent_learns_which_Pod_and_decides()
    {
        var (asked, answer) = (new List<PluginRequest>(), "");
        await using var agent = await AgentAsync((request, _) =>
        {
            asked.Add(request);
            return Task.FromResult(answer);
        });
        var call = Configuration("1.0.0", """{"cniVersion":"1.0.0","ips":[]}""");
        Assert.Equal((0, """{"cniVersion":"1.0.0","ips":[]}""", ""), Run("ADD", call));
        Assert.Equal([new("/var/run/netns/cni-1", "shop", "web-1", "u1")], asked);
        answer = "nft rejected the \"rules\"";
        var (code, said, _) = Run("ADD", call);
        Assert.Equal((1, 100, "istio-cni: nft rejected the \"rules\""), (code, (int)JsonNode.Parse(said)!["code"]!, JsonNode.Parse(said)!["msg"]!.ToString()));
        // Excluded, and not Kubernetes: nobody is asked.
        Assert.Equal(0, Run("ADD", call, Pod.Replace("shop", "kube-system", StringComparison.Ordinal)).Code);
        Assert.Equal(0, Run("ADD", call, "").Code);
        Assert.Equal(2, asked.Count);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Socket));
    }

    [Fact]
    public async Task An_agent_that_ends_answers_first_and_leaves_no_socket()
    {
        var (arrived, release) = (new TaskCompletionSource(), new TaskCompletionSource());
        var agent = await AgentAsync(async (_, _) =>
        {
            arrived.SetResult();
            await release.Task;
            return "";
        });
        var call = Task.Run(() => Run("ADD", Configuration("1.0.0", "{}")), Stop);
        await arrived.Task;
        var ended = agent.DisposeAsync();
        release.SetResult();
        await ended;
        // Answered, or told that the agent has ended; never left without.
        var (code, said, _) = await call;
        Assert.True((code, said) == (0, """{"cniVersion":"1.0.0"}""") || (code == 1 && (int)JsonNode.Parse(said)!["code"]! == 11), said);
        Assert.False(File.Exists(Socket));
    }

    [Theory]
    [InlineData("{}\n", "malformed request: expected protocol 1: plug-in and agent are of different versions")]
    [InlineData("[1]\n", "malformed request: expected a JSON object")]
    [InlineData("\n", "malformed request: expected a line of JSON")]
    [InlineData("""{"protocol":1,"networkNamespace":"/n","namespace":"shop"}""" + "\n", "malformed request: pod is missing")]
    [InlineData("""{"protocol":1,"networkNamespace":"/n","namespace":"shop","pod":"../x"}""" + "\n", "malformed request: pod is invalid")]
    [InlineData("""{"protocol":1,"networkNamespace":"/n","namespace":"sh op","pod":"x"}""" + "\n", "malformed request: namespace is invalid")]
    [InlineData("""{"protocol":1,"networkNamespace":7,"namespace":"shop","pod":"x"}""" + "\n", "malformed request: networkNamespace is missing")]
    [InlineData("""{"protocol":1,"networkNamespace":"/n","namespace":"shop","pod":"x","pod":"y"}""" + "\n", "malformed request: expected a line of JSON")]
    [InlineData("""{"protocol":1,"networkNamespace":"/n","namespace":"shop","pod":"\ud800"}""" + "\n", "malformed request: expected a line of JSON")]
    [InlineData("""{"protocol":1""", "malformed request: it ends within the line")]
    public async Task A_request_that_is_malformed_is_refused(string request, string error)
    {
        await using var agent = await AgentAsync((_, _) => Task.FromResult(""));
        Assert.Equal(error, JsonNode.Parse(await AskAsync(Encoding.UTF8.GetBytes(request)))!["error"]!.ToString());
    }

    [Fact]
    public async Task Too_many_bytes_and_too_few_are_refused()
    {
        var clock = new ManualClock();
        await using var agent = await AgentAsync((_, _) => Task.FromResult(""), clock);
        Assert.Equal("malformed request: it is longer than 16 KiB", JsonNode.Parse(await AskAsync(new byte[16 << 10], ends: false))!["error"]!.ToString());
        var slow = AskAsync([], ends: false);
        while (clock.NextDue is null) await Task.Yield();
        clock.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal("malformed request: no complete line within 5 s", JsonNode.Parse(await slow)!["error"]!.ToString());
    }

    private string Configuration(string version, string result) =>
        $$"""{"cniVersion":"{{version}}","name":"k8s","type":"istio-cni","agent_socket":"{{Socket}}","exclude_namespaces":["kube-system"],"prevResult":{{result}}}""";

    private static (int Code, string Output, string Errors) Run(string command, string input, string arguments = Pod)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["CNI_COMMAND"] = command, ["CNI_CONTAINERID"] = "c1", ["CNI_NETNS"] = "/var/run/netns/cni-1", ["CNI_IFNAME"] = "eth0", ["CNI_ARGS"] = arguments,
            ["CNI_PATH"] = "/opt/cni/bin",
        };
        using var output = new MemoryStream();
        using var errors = new StringWriter { NewLine = "\n" };
        var code = Plugin.Run(name => environment.GetValueOrDefault(name), new MemoryStream(Encoding.UTF8.GetBytes(input)), output, errors);
        return (code, Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    private async Task<string> AskAsync(byte[] request, bool ends = true)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(Socket), Stop);
        await socket.SendAsync(request, Stop);
        if (ends) socket.Shutdown(SocketShutdown.Send);
        var answer = new byte[4096];
        return Encoding.UTF8.GetString(answer, 0, await socket.ReceiveAsync(answer, Stop));
    }

    private async Task<RunningAgent> AgentAsync(Func<PluginRequest, CancellationToken, Task<string>> answer, TimeProvider? time = null)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var tasks = new BackgroundTasks((name, e) => TestContext.Current.SendDiagnosticMessage($"{name}: {e}"));
        var listening = new TaskCompletionSource();
        var running = new AgentSocket(Socket, time ?? TimeProvider.System, tasks, answer).RunAsync(listening.SetResult, stop.Token);
        await await Task.WhenAny(listening.Task, running);
        return new(stop, running, tasks);
    }

    private sealed class RunningAgent(CancellationTokenSource stop, Task running, BackgroundTasks tasks) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await running;
            await tasks.WhenEndedAsync();
            stop.Dispose();
            Assert.Equal(0, tasks.Failures);
        }
    }
}
