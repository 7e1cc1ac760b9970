using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Nodes;
using Isthmus.Core.Problems;
using Isthmus.Lab.Machine.Linux;

namespace Isthmus.Lab.Supervisor;

/// <summary>The client of the supervisor's socket. Each call opens a connection.</summary>
public sealed class LabClient(LabHome home)
{
    private const int SolSocket = 1, SoPeerCredentials = 17;

    public LabHome Home => home;

    /// <summary>The supervisor's PID on this machine, or null when there is none.</summary>
    public int? FindSupervisor()
    {
        using var socket = TryConnect();
        return socket is null ? null : PeerOf(socket);
    }

    /// <summary>The output of <c>lab status -o json</c>. The supervisor reports PIDs of its own namespace; this method
    /// translates them for the caller.</summary>
    public async Task<JsonNode> StatusAsync(CancellationToken stop)
    {
        var status = await AskAsync(new JsonObject { ["operation"] = "status" }, null, stop);
        var ids = FindSupervisor() is { } supervisor ? ChildProcesses.Of(supervisor) : [];
        foreach (var cluster in (status["clusters"] as JsonArray ?? []).OfType<JsonObject>())
        {
            foreach (var field in (string[])["apiServerPid", "nodePid"])
                if ((int?)cluster[field] is { } inside) cluster[field] = ids.TryGetValue(inside, out var id) ? id : null;
        }
        return status;
    }

    /// <summary>Creates clusters and returns when their API servers answer.</summary>
    /// <param name="mustBeNew">Whether an existing cluster is an error. Otherwise the call waits for it.</param>
    /// <exception cref="ProblemException">The supervisor reported an error.</exception>
    public Task CreateAsync(IEnumerable<ClusterRequest> clusters, bool mustBeNew, Action<LabStep> onStep, CancellationToken stop)
    {
        var wanted = new JsonArray();
        foreach (var cluster in clusters) wanted.Add((JsonNode)cluster.ToJson());
        return AskAsync(new JsonObject { ["operation"] = "create", ["clusters"] = wanted, ["mustBeNew"] = mustBeNew }, onStep, stop);
    }

    /// <summary>Returns when nodes and DNS of these clusters are ready.</summary>
    public Task WaitAsync(IEnumerable<string> names, Action<LabStep> onStep, CancellationToken stop)
    {
        var wanted = new JsonArray();
        foreach (var name in names) wanted.Add((JsonNode)JsonValue.Create(name));
        return AskAsync(new JsonObject { ["operation"] = "wait", ["names"] = wanted }, onStep, stop);
    }

    public Task DeleteAsync(string name, CancellationToken stop) => AskAsync(new JsonObject { ["operation"] = "delete", ["name"] = name }, null, stop);

    /// <summary>Passes a listener on the machine's loopback, on which the supervisor then serves the cluster's API server.</summary>
    /// <returns>The port where the API server is reached: that of an earlier listener, if there is one.</returns>
    /// <exception cref="ProblemException">There is no lab or no such cluster.</exception>
    public async Task<int> ExposeAsync(string name, Socket listener, CancellationToken stop) =>
        (int)(await AskAsync(new JsonObject { ["operation"] = "expose", ["name"] = name }, null, stop, listener))["port"]!;

    /// <summary>Stops a part of a cluster, to simulate a fault.</summary>
    public Task BreakAsync(string name, LabPart part, CancellationToken stop) =>
        AskAsync(new JsonObject { ["operation"] = "break", ["name"] = name, ["part"] = part.ToString() }, null, stop);

    /// <summary>Starts the part again. Returns when it answers.</summary>
    public Task MendAsync(string name, LabPart part, Action<LabStep> onStep, CancellationToken stop) =>
        AskAsync(new JsonObject { ["operation"] = "mend", ["name"] = name, ["part"] = part.ToString() }, onStep, stop);

    /// <summary>
    /// Ends the lab's processes, Pods first, and returns when all of them are gone. A supervisor that does not answer
    /// within <paramref name="patience"/> is killed, with everything in it. So is a supervisor that does not listen yet
    /// because its starter was interrupted. False when none was running.
    /// </summary>
    public async Task<bool> StopAsync(TimeSpan patience, TimeProvider time, CancellationToken stop)
    {
        if (FindSupervisor() is not { } id || PidHandle.TryOpen(id) is not { } supervisor) return await StraySupervisors.KillAsync(home, time, stop);
        using (supervisor)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
            limit.CancelAfter(patience);
            try
            {
                await AskAsync(new JsonObject { ["operation"] = "stop" }, null, limit.Token);
            }
            catch (Exception e) when (e is IOException or ProblemException or OperationCanceledException && !stop.IsCancellationRequested)
            {
                supervisor.Signal(Signals.Kill);
            }
            var begun = time.GetTimestamp();
            while (!supervisor.HasExited)
            {
                if (time.GetElapsedTime(begun) > patience) supervisor.Signal(Signals.Kill);
                await Task.Delay(TimeSpan.FromMilliseconds(10), time, stop);
            }
            return true;
        }
    }

    /// <param name="passed">A socket to pass with the request.</param>
    private async Task<JsonNode> AskAsync(JsonObject request, Action<LabStep>? onStep, CancellationToken stop, Socket? passed = null)
    {
        using var socket = TryConnect() ?? throw new ProblemException("lab", "is not running", "start it with 'isthmus lab up'");
        await using var stream = new NetworkStream(socket);
        var line = Encoding.UTF8.GetBytes(request.ToJsonString() + "\n");
        if (passed is null) await stream.WriteAsync(line, stop);
        else DescriptorMessage.Send(socket, line, passed);
        await foreach (var text in LinesAsync(stream, stop))
        {
            var answer = JsonNode.Parse(text)!;
            if (answer["step"] is { } step) onStep?.Invoke(LabStep.FromJson(step));
            if (answer["result"] is { } result) return result.DeepClone();
            if (answer["error"] is { } error)
            {
                throw new ProblemException((string?)error["object"] ?? "", (string?)error["message"] ?? "", (string?)error["remedy"] ?? "");
            }
        }
        throw new ProblemException("lab", "the supervisor ended before it answered", $"see its log: {home.Log("supervisor")}");
    }

    private static async IAsyncEnumerable<string> LinesAsync(NetworkStream stream, [EnumeratorCancellation] CancellationToken stop)
    {
        using var reader = new StreamReader(stream, Encoding.UTF8, leaveOpen: true);
        while (await reader.ReadLineAsync(stop) is { } line) yield return line;
    }

    private Socket? TryConnect()
    {
        if (!File.Exists(home.Socket)) return null;
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(home.Socket));
            return socket;
        }
        catch (SocketException)
        {
            // A file without a listener: its supervisor was killed.
            socket.Dispose();
            return null;
        }
    }

    private static int PeerOf(Socket socket)
    {
        // struct ucred; the kernel translates the PID into the reader's PID namespace.
        var credentials = new byte[12];
        socket.GetRawSocketOption(SolSocket, SoPeerCredentials, credentials);
        return BitConverter.ToInt32(credentials);
    }
}
