using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Logs;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Lab.Nodes.Volumes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>A container cannot be started now; the reason is that of its waiting state.</summary>
internal sealed class StartException(string reason, string message) : Exception(message)
{
    internal string Reason => reason;
}

/// <summary>Turns a container of a Pod into a running process, and finds those again that an earlier node started.</summary>
internal sealed class ContainerStarter(NodeContext node)
{
    private const int PipeBytes = 256 * 1024;

    /// <exception cref="StartException">It cannot be configured or started.</exception>
    internal async Task<RunningContainer> StartAsync(Pod pod, PodSandbox sandbox, PodVolumes volumes, ContainerSlot slot, PodFacts facts)
    {
        var image = FindImage(slot.Spec.Image);
        var identity = Identify(pod, slot.Spec, image);
        var attempt = slot.Record is null ? 0 : slot.Record.Attempt + 1;
        var request = new LaunchPlan(node).Make(pod, sandbox, volumes, slot, facts, image, identity, attempt);
        var record = new ContainerRecord(
            slot.Spec.Name, NewId(), attempt, null, node.Time.GetUtcNow(), slot.Spec.Image, ImageCatalogue.IdOf(image))
        {
            Previous = slot.Record?.End ?? slot.Record?.Previous,
            BackOffSeconds = slot.Record?.BackOffSeconds ?? 0,
        };
        MakePipes(slot, attempt);
        // Opened before the program starts, so that none of its output finds nobody.
        var output = OpenReader(slot.Files.Output(attempt));
        var errors = OpenReader(slot.Files.Errors(attempt));
        var input = slot.Spec is { Stdin: true, Tty: false } ? OpenInput(slot.Files.Input(attempt)) : null;
        try
        {
            record = record with { Process = ProcessIdentity.Of(await ContainerLauncher.StartAsync(request)) };
        }
        catch (LaunchException e)
        {
            output.Dispose();
            errors.Dispose();
            input?.Dispose();
            Remember(slot, record with { End = new(record.Id, 128, "StartError", e.Message, DateTimeOffset.UnixEpoch, node.Time.GetUtcNow()) });
            throw new StartException("RunContainerError", e.Message);
        }
        Remember(slot, record);
        slot.Files.Prune(attempt);
        var process = ContainerProcess.Started(record.Process, slot.Files.Exit(attempt));
        try
        {
            return Run(slot, process, record, identity, output, errors, input);
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    /// <summary>Takes over a container that an earlier node started; null when it has ended.</summary>
    internal RunningContainer? TryAdopt(Pod pod, ContainerSlot slot, ContainerRecord record)
    {
        if (record.Process is null || ContainerProcess.TryAttach(record.Process, slot.Files.Exit(record.Attempt)) is not { } process) return null;
        var identity = Identify(pod, slot.Spec, FindImage(slot.Spec.Image));
        var input = slot.Spec is { Stdin: true, Tty: false } ? OpenInput(slot.Files.Input(record.Attempt)) : null;
        return Run(slot, process, record, identity, OpenReader(slot.Files.Output(record.Attempt)), OpenReader(slot.Files.Errors(record.Attempt)), input);
    }

    internal static void Remember(ContainerSlot slot, ContainerRecord record)
    {
        slot.Record = record;
        StateFile.Write(slot.Files.Record, record, NodeJson.Default.ContainerRecord);
    }

    private RunningContainer Run(
        ContainerSlot slot, ContainerProcess process, ContainerRecord record, ContainerIdentity identity, SafeFileHandle output, SafeFileHandle errors,
        SafeFileHandle? input)
    {
        var pump = new LogPump(node.Reactor, new LogFile(slot.Files.Log(record.Attempt), node.Time));
        var terminal = slot.Spec.Tty ? FindTerminal(process) : null;
        if (terminal is not null)
        {
            output.Dispose();
            output = terminal;
        }
        var cancel = new CancellationTokenSource();
        var copying = Task.WhenAll(pump.RunAsync(output, false, cancel.Token), pump.RunAsync(errors, true, cancel.Token));
        return new RunningContainer(process, pump, copying, identity, cancel)
        {
            IsTerminal = terminal is not null,
            Input = terminal is not null ? FindTerminal(process) : input,
        };
    }

    private Image FindImage(string text)
    {
        if (!ImageName.TryParse(text, out var name)) throw new StartException("InvalidImageName", $"couldn't parse image name \"{text}\"");
        return node.Images.Find(name) ?? throw new StartException("ErrImagePull", node.Images.Missing(text));
    }

    private ContainerIdentity Identify(Pod pod, Container container, Image image)
    {
        try
        {
            return ContainerIdentity.Decide(pod.Spec.SecurityContext, container.SecurityContext, image.User, node.Users, node.Groups);
        }
        catch (IdentityException e)
        {
            throw new StartException("CreateContainerConfigError", e.Message);
        }
    }

    internal static void MakePipes(ContainerSlot slot, int attempt)
    {
        var files = slot.Files;
        Directory.CreateDirectory(files.Directory);
        Directory.CreateDirectory(files.Logs);
        foreach (var path in new[] { files.Output(attempt), files.Errors(attempt) }) MakeFifo(path);
        if (slot.Spec.Stdin) MakeFifo(files.Input(attempt));
        var message = files.TerminationMessage(attempt);
        File.WriteAllText(message, "");
        File.SetUnixFileMode(message, (UnixFileMode)0b110_110_110);
        File.Delete(files.Exit(attempt));
    }

    private static void MakeFifo(string path)
    {
        File.Delete(path);
        LinuxException.Check(Libc.MakeFifo(path, 0b110_110_110), $"mkfifo {path}");
        // Anybody in the container may reopen /dev/stdout, whatever our umask is.
        File.SetUnixFileMode(path, (UnixFileMode)0b110_110_110);
    }

    private static SafeFileHandle OpenReader(string path)
    {
        var handle = Descriptors.Open(path, Libc.ORdOnly | Libc.ONonBlock);
        Descriptors.TryEnlarge(handle.Number(), PipeBytes);
        return handle;
    }

    // For both ways: opening only to write fails until the container reads.
    private static SafeFileHandle OpenInput(string path) => Descriptors.Open(path, Libc.ORdWr | Libc.ONonBlock);

    /// <summary>The master of the container's terminal, which its outermost process holds for us.</summary>
    private static SafeFileHandle FindTerminal(ContainerProcess process)
    {
        var copy = Descriptors.TryCopyFrom(process.Outer, ContainerLauncher.TerminalDescriptor)
            ?? throw new StartException("RunContainerError", "the container's terminal is gone");
        Descriptors.SetNonBlocking(copy.Number());
        return copy;
    }

    private string NewId()
    {
        var bytes = new byte[32];
        lock (node.Random) node.Random.NextBytes(bytes);
        return Convert.ToHexStringLower(bytes);
    }
}
