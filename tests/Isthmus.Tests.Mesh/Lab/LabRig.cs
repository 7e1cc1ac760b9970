using System.Diagnostics;
using System.Text.Json.Nodes;
using Isthmus.Kubernetes.Client;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Supervisor;
using Isthmus.Testing;
using Xunit;

namespace Isthmus.Tests.Mesh.Lab;

/// <summary>The output of a command and its exit status.</summary>
internal sealed record Outcome(int Code, string Output, string Errors)
{
    internal string Expect(int code)
    {
        Assert.True(Code == code, $"exit code {Code} instead of {code}\n{Output}\n{Errors}");
        return Output;
    }
}

/// <summary>A lab of its own in its own directory, driven by the user's commands. It is removed in any case.</summary>
internal sealed class LabRig : IAsyncDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("isthmus-lab-").FullName;
    private readonly SelfCommand _program = BuiltProgram.Command;

    internal LabHome Home => new(Path.Combine(_directory, "lab"));

    internal string Kubeconfig => Path.Combine(_directory, "kubeconfig");

    internal static async Task<LabRig> CreateAsync()
    {
        try
        {
            await Preflight.RunAsync(TestContext.Current.CancellationToken);
        }
        catch (Core.Problems.ProblemException e)
        {
            Assert.Skip(e.Message);
        }
        return new LabRig();
    }

    internal Task<Outcome> IsthmusAsync(params string[] arguments) => RunAsync(_program.Program, [.. _program.Arguments, .. arguments], null);

    internal Task<Outcome> KindAsync(params string[] arguments) => RunAsync(_program.Program, [.. _program.Arguments, .. arguments], "kind");

    internal Task<Outcome> KubectlAsync(params string[] arguments) => RunAsync("kubectl", arguments, null);

    /// <summary>A client of a cluster, for what tests ask often: a kubectl takes 70 ms of CPU time to start.</summary>
    internal KubeClient Client(string context) => new(KubeConfig.Load(Kubeconfig, context, _ => null));

    internal async Task<JsonNode> StatusAsync() => JsonNode.Parse((await IsthmusAsync("lab", "status", "-o", "json")).Expect(0))!;

    /// <summary>The lab's PID 1, as a PID of this machine.</summary>
    internal int Supervisor => new LabClient(Home).FindSupervisor() ?? throw new InvalidOperationException("the lab does not run");

    /// <summary>Every process of the lab: those in its PID namespace.</summary>
    internal List<int> Processes()
    {
        var root = Namespace(Supervisor, "pid");
        return [.. Directory.EnumerateDirectories("/proc").Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0)
            .Where(id => id > 0 && (Namespace(id, "pid") == root || IsBelow(id)))];

        // Pods have their own PID namespaces. They are identified by their mount of the lab's namespace files.
        bool IsBelow(int id) => Namespace(id, "pid") is { } other && other != Namespace(Environment.ProcessId, "pid") && Ancestors(id).Contains(Supervisor);
    }

    /// <summary>Processes that were started as a supervisor of this directory, whether they answer or not.</summary>
    internal List<string> Supervisors() => [.. Directory.EnumerateDirectories("/proc").Select(path => Path.Combine(path, "cmdline")).Where(File.Exists)
        .Select(path => { try { return File.ReadAllText(path); } catch (IOException) { return ""; } })
        .Where(line => line.Contains("lab-supervisor", StringComparison.Ordinal) && line.Contains(Home.Directory, StringComparison.Ordinal))];

    /// <summary>Identities of the network namespaces of these processes.</summary>
    internal static HashSet<string> Networks(IEnumerable<int> processes) => [.. processes.Select(id => Namespace(id, "net")).OfType<string>()];

    internal static bool Exists(int process) => PidHandle.TryOpen(process) is { } handle && Dispose(handle);

    public async ValueTask DisposeAsync()
    {
        await IsthmusAsync("lab", "down");
        Directory.Delete(_directory, recursive: true);
    }

    /// <summary>Starts a command. The test ends it.</summary>
    /// <remarks>If a shell runs the tests in the background, they ignore Ctrl-C, and child processes inherit
    /// that.</remarks>
    internal Process Begin(params string[] arguments) => Process.Start(Prepare("env", ["--default-signal=INT", .. _program.With(arguments)], null))!;

    /// <summary>Starts kubectl. The test ends it.</summary>
    internal Process BeginKubectl(params string[] arguments) => Process.Start(Prepare("kubectl", arguments, null))!;

    /// <summary>Repeats a query until the answer contains <paramref name="words"/>.</summary>
    internal static async Task<string> UntilAsync(Func<Task<Outcome>> ask, string words, double seconds = 60)
    {
        var found = await Eventually.AnswerAsync(ask, answer => answer.Output.Contains(words, StringComparison.Ordinal),
            answer => $"no '{words}'; the last answer: {answer.Output}{answer.Errors}", TimeSpan.FromSeconds(seconds));
        return found.Output;
    }

    private async Task<Outcome> RunAsync(string program, string[] arguments, string? invokedAs)
    {
        using var process = Process.Start(Prepare(program, arguments, invokedAs))!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        // Longer than any limit of the commands themselves, so that they can report what they wait for.
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(6));
        try
        {
            await process.WaitForExitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            // The output so far shows where it hangs.
            process.Kill();
            Assert.Fail(
                $"{Path.GetFileName(program)} {string.Join(' ', arguments)} did not end in time:\n{await SoFarAsync(output)}{await SoFarAsync(errors)}");
        }
        return new(process.ExitCode, await output, await errors);
    }

    /// <summary>The output so far, even if a surviving child holds the pipe open.</summary>
    private static async Task<string> SoFarAsync(Task<string> text)
    {
        await Task.WhenAny(text, Task.Delay(TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        return text.IsCompletedSuccessfully ? text.Result : "(its output is held open by a child)\n";
    }

    private ProcessStartInfo Prepare(string program, string[] arguments, string? invokedAs)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        start.Environment["ISTHMUS_LAB_HOME"] = Home.Directory;
        start.Environment["KUBECONFIG"] = Kubeconfig;
        if (invokedAs is not null) start.Environment["ISTHMUS_INVOKED_AS"] = invokedAs;
        return start;
    }

    private static List<int> Ancestors(int id)
    {
        var ancestors = new List<int>();
        while (id > 1 && ReadParent(id) is { } parent and > 0)
        {
            ancestors.Add(parent);
            id = parent;
        }
        return ancestors;
    }

    private static int? ReadParent(int id)
    {
        try
        {
            var line = File.ReadLines($"/proc/{id}/status").FirstOrDefault(text => text.StartsWith("PPid:", StringComparison.Ordinal));
            return line is null ? null : int.Parse(line.AsSpan(5));
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static string? Namespace(int id, string kind)
    {
        try
        {
            return new FileInfo($"/proc/{id}/ns/{kind}").LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static bool Dispose(PidHandle handle)
    {
        using (handle) return !handle.HasExited;
    }
}
