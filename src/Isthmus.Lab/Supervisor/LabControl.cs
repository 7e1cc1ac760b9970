using System.Diagnostics;
using Isthmus.Core.Collections;
using Isthmus.Core.Problems;
using Isthmus.Lab.Loopback;
using Isthmus.Lab.Machine.Network;

namespace Isthmus.Lab.Supervisor;

/// <summary>How a lab is started.</summary>
/// <param name="MustBeNew">Whether an existing cluster is an error. Otherwise the start waits for it.</param>
/// <param name="Wait">Whether to wait until nodes and DNS are ready, not only the API servers.</param>
/// <param name="Kubeconfig">The file for the entries; null for the one that kubectl would choose.</param>
/// <param name="MakeCurrent">Whether the first cluster becomes the current context even if there already is one.</param>
public sealed record LabUpSettings(ValueList<ClusterRequest> Clusters, bool MustBeNew, bool Wait, string? Kubeconfig, bool MakeCurrent);

/// <summary>The operations of commands on the lab: start, extend, remove.</summary>
/// <param name="ask">Asks a yes-or-no question; null to answer yes to everything.</param>
/// <param name="say">Prints a line.</param>
public sealed class LabControl(LabHome home, Func<string, string?> environment, Func<string, CancellationToken, Task<bool>>? ask, Action<string> say,
    TimeProvider time)
{
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(20);

    public LabClient Client { get; } = new(home);

    private readonly UserKubeconfig _kubeconfig = new(home, environment, time);

    /// <summary>The clusters in the state file, running or not, in the order of creation.</summary>
    public LabState State => LabState.Load(home);

    /// <summary>The kubeconfig of one cluster, with the proxy.</summary>
    public Task<string> RenderKubeconfigAsync(ClusterSettings cluster, CancellationToken stop) =>
        _kubeconfig.RenderAsync([KubeconfigEntry.ThroughProxy(cluster, State.ProxyPort)], stop);

    /// <summary>The kubeconfig of these clusters.</summary>
    public Task<string> RenderKubeconfigAsync(IReadOnlyList<KubeconfigEntry> entries, CancellationToken stop) => _kubeconfig.RenderAsync(entries, stop);

    /// <summary>The file with which a kubelet joins a cluster without a node.</summary>
    public string NodeKubeconfig(string cluster) => Path.Combine(home.Cluster(cluster), LabCluster.NodeKubeconfig);

    /// <summary>Writes the entries of an existing cluster, and makes it current.</summary>
    public Task ExportKubeconfigAsync(ClusterSettings cluster, string? file, CancellationToken stop) =>
        ExportKubeconfigAsync([KubeconfigEntry.ThroughProxy(cluster, State.ProxyPort)], file, stop);

    /// <summary>Writes the entries of existing clusters, and makes the first one current.</summary>
    public Task ExportKubeconfigAsync(IReadOnlyList<KubeconfigEntry> entries, string? file, CancellationToken stop) =>
        _kubeconfig.AddAsync(_kubeconfig.Target(file), entries, entries[0].Cluster.Context, stop);

    /// <summary>Reaches the API server on the machine's loopback: on the same port as before, as long as the lab exists.</summary>
    /// <exception cref="ProblemException">The lab does not run, or this is not the machine but the inside of the lab.</exception>
    public async Task<KubeconfigEntry> ExposeAsync(ClusterSettings cluster, CancellationToken stop)
    {
        if (environment(LabShell.Marker) is { Length: > 0 })
        {
            throw new ProblemException("loopback address", "cannot be opened inside the lab, which has a loopback of its own",
                "leave the shell of 'isthmus lab shell' and repeat the command");
        }
        // If the lab has one already, its port is taken. The supervisor then returns that port and closes this listener.
        using var listener = LoopbackSocket.Listen(State.LoopbackPorts.TryGetValue(cluster.Name, out var port) ? port : 0);
        return KubeconfigEntry.OnLoopback(cluster, await Client.ExposeAsync(cluster.Name, listener, stop));
    }

    /// <summary>
    /// Starts a supervisor unless one runs (it resumes the clusters of an earlier one), creates missing clusters, waits,
    /// and writes the kubeconfig. When interrupted, it removes what it created.
    /// </summary>
    /// <exception cref="ProblemException">The machine or the request does not allow it.</exception>
    public async Task UpAsync(LabUpSettings settings, Action<LabStep> onStep, CancellationToken stop)
    {
        foreach (var request in settings.Clusters) ClusterPlan.CheckName(request.Name);
        var before = State.Clusters.Select(cluster => cluster.Name).ToHashSet();
        var file = _kubeconfig.Target(settings.Kubeconfig);
        var started = await EnsureSupervisorAsync(onStep, stop);
        try
        {
            if (started) await ReopenAsync(stop);
            await Client.CreateAsync(settings.Clusters, settings.MustBeNew, onStep, stop);
            // This comes before the longer wait, so that kubectl works meanwhile.
            await WriteKubeconfigAsync(settings, file, started, stop);
            if (settings.Wait) await Client.WaitAsync(settings.Clusters.Select(request => request.Name), onStep, stop);
        }
        catch (ProblemException) when (Client.FindSupervisor() is not null)
        {
            // You can examine clusters that did start with kubectl. A lab without clusters is of no use.
            if (State.Clusters.IsEmpty) await DownAsync(stop);
            else await WriteKubeconfigAsync(settings, file, started, stop);
            throw;
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await UndoAsync(started && before.Count == 0, settings.Clusters.Select(request => request.Name).Where(name => !before.Contains(name)));
            throw;
        }
    }

    /// <summary>Starts the supervisor unless one runs. True when this call started it.</summary>
    public async Task<bool> EnsureSupervisorAsync(Action<LabStep> onStep, CancellationToken stop)
    {
        if (Client.FindSupervisor() is not null) return false;
        home.Create();
        try
        {
            return await StartSupervisorAsync(onStep, stop);
        }
        catch (Exception) when (State.Clusters.IsEmpty)
        {
            // Nothing worth keeping was created.
            await DownAsync(CancellationToken.None);
            throw;
        }
    }

    /// <summary>Removes one cluster, and with the last cluster the lab.</summary>
    /// <exception cref="ProblemException">There is no such cluster.</exception>
    public async Task DeleteClusterAsync(string name, CancellationToken stop)
    {
        var state = State;
        if (Client.FindSupervisor() is null && state.Clusters.Any(cluster => cluster.Name == name))
        {
            // Its supervisor was killed, and only files are left.
            await _kubeconfig.RemoveAsync(_kubeconfig.Authorities([name]), stop);
            await RemoveDirectoryAsync(home.Cluster(name), stop);
            state = state.Without(name);
            state.Save(home);
        }
        else
        {
            var authorities = _kubeconfig.Authorities([name]);
            await Client.DeleteAsync(name, stop);
            await _kubeconfig.RemoveAsync(authorities, stop);
        }
        if (State.Clusters.IsEmpty) await DownAsync(stop);
    }

    /// <summary>Removes the lab and all its files. False when there was none.</summary>
    public async Task<bool> DownAsync(CancellationToken stop)
    {
        if (!home.Exists) return false;
        var stopped = await Client.StopAsync(StopPatience, time, stop);
        var clusters = Directory.Exists(home.Clusters) ? Directory.EnumerateDirectories(home.Clusters).Select(path => Path.GetFileName(path)!).ToList() : [];
        await _kubeconfig.RemoveAsync(_kubeconfig.Authorities(clusters), stop);
        // Only files of the lab: the directory may be one that the user chose.
        var had = stopped || clusters.Count > 0 || File.Exists(home.LabFile);
        await RemoveDirectoryAsync(home.Clusters, stop);
        await RemoveDirectoryAsync(home.Logs, stop);
        await RemoveDirectoryAsync(home.Mesh, stop);
        await RemoveDirectoryAsync(home.Images, stop);
        foreach (var file in (string[])[home.Socket, home.MachineSocket, home.LabFile, home.LabFile + ".new", home.KubeconfigList, home.Lock])
            File.Delete(file);
        home.RemoveEmpty();
        return had;
    }

    private async Task<bool> StartSupervisorAsync(Action<LabStep> onStep, CancellationToken stop)
    {
        using var one = await LockAsync(stop);
        if (Client.FindSupervisor() is not null) return false;
        var begun = time.GetTimestamp();
        await Programs.EnsureAsync(ask, say, stop);
        var mode = await Preflight.RunAsync(stop);
        onStep(new("", $"machine checked: {mode}", Since(begun), true));
        // A half-started supervisor, left by an interrupted command, would run a second lab in the same directory.
        await StraySupervisors.KillAsync(home, time, stop);
        begun = time.GetTimestamp();
        await LabLauncher.StartAsync(home, mode, SelfCommand.Current(), time, stop);
        onStep(new("", "supervisor started", Since(begun), true));
        return true;
    }

    // The loopback addresses ended with the supervisor before this one.
    private async Task ReopenAsync(CancellationToken stop)
    {
        var state = State;
        foreach (var cluster in state.Clusters)
        {
            if (!state.LoopbackPorts.TryGetValue(cluster.Name, out var before)) continue;
            var now = await ExposeAsync(cluster, stop);
            if (now.Server.Port != before)
            {
                say($"port {before} of this machine is taken, so cluster {cluster.Name} is now at {now.Server.OriginalString}: repeat 'isthmus lab kubeconfig "
                    + $"--loopback'");
            }
        }
    }

    // Two commands that start a supervisor at the same time would replace each other's socket.
    private async Task<FileStream> LockAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return new FileStream(home.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(home.Lock))
            {
                await Task.Delay(TimeSpan.FromMilliseconds(50), time, stop);
            }
        }
    }

    private Task WriteKubeconfigAsync(LabUpSettings settings, string file, bool isNewSupervisor, CancellationToken stop)
    {
        var state = State;
        var wanted = settings.Clusters.Select(request => request.Name).ToHashSet();
        var current = state.Clusters.FirstOrDefault(cluster => cluster.Name == settings.Clusters[0].Name)?.Context;
        // A new supervisor may use another proxy port, which invalidates the entries of all clusters.
        var entries = state.Clusters.Where(cluster => isNewSupervisor || wanted.Contains(cluster.Name))
            .Select(cluster => KubeconfigEntry.ThroughProxy(cluster, state.ProxyPort));
        return _kubeconfig.AddAsync(file, [.. entries], settings.MakeCurrent ? current : null, stop);
    }

    private async Task UndoAsync(bool everything, IEnumerable<string> clusters)
    {
        say("interrupted: removing what was created");
        if (everything)
        {
            await DownAsync(CancellationToken.None);
            return;
        }
        foreach (var name in clusters)
        {
            if (State.Clusters.Any(cluster => cluster.Name == name)) await DeleteClusterAsync(name, CancellationToken.None);
        }
    }

    private static async Task RemoveDirectoryAsync(string path, CancellationToken stop)
    {
        if (!Directory.Exists(path)) return;
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            // Files of mapped users: only a user namespace with the same range may delete them. Without such a range, there may
            // be directories of images that even their owner may not change, except as root of a namespace.
            var words = "";
            foreach (var map in (string[][])[["--map-auto"], []])
            {
                if (Directory.Exists(path)) words += await RemoveAsRootAsync(path, map, stop);
            }
            if (Directory.Exists(path))
                throw new ProblemException(path, $"cannot be removed: {e.Message} {words.Trim()}".Trim(), $"remove it as root: rm -rf {path}", e);
        }
    }

    private static async Task<string> RemoveAsRootAsync(string path, string[] map, CancellationToken stop)
    {
        var start = new ProcessStartInfo("unshare", ["--user", "--map-root-user", .. map, "rm", "-rf", "--", path]) { RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var words = await process.StandardError.ReadToEndAsync(stop);
        await process.WaitForExitAsync(stop);
        return words;
    }

    private double Since(long begun) => time.GetElapsedTime(begun).TotalMilliseconds;
}
