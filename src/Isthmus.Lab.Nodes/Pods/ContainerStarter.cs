using System.Globalization;
using Isthmus.Core.Problems;
using Isthmus.Images.Description;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Containers;
using Isthmus.Lab.Nodes.Env;
using Isthmus.Lab.Nodes.Images;
using Isthmus.Lab.Nodes.Logs;
using Isthmus.Lab.Nodes.Processes;
using Isthmus.Lab.Nodes.Volumes;
using Microsoft.Win32.SafeHandles;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>A container cannot be started now. The reason is that of its waiting state.</summary>
internal sealed class StartException(string reason, string message) : Exception(message)
{
    internal string Reason => reason;
}

/// <summary>One run of a container that is about to start.</summary>
internal sealed record ContainerRun(Container Spec, Image Image, ContainerIdentity Identity, RunFiles Files);

/// <summary>What the containers of one Pod share.</summary>
internal sealed record PodResources(PodFacts Facts, PodSandbox Sandbox, PodVolumes Volumes);

/// <summary>Turns a container of a Pod into a running process, and finds those that an earlier node started.</summary>
internal sealed class ContainerStarter(NodeContext node)
{
    /// <summary>The reason if everything was prepared and the program did not start.</summary>
    internal const string RunError = "RunContainerError";

    /// <summary>The reason if the image is missing and must not be pulled.</summary>
    internal const string NeverPull = "ErrImageNeverPull";

    private const int PipeBytes = 256 * 1024;

    /// <exception cref="StartException">The image or the user is not available.</exception>
    internal ContainerRun Prepare(Pod pod, Container spec, RunFiles files)
    {
        try
        {
            return Prepare(pod, spec, FindImage(spec), files);
        }
        catch (ProblemException e)
        {
            throw new StartException("ImageInspectError", e.Message);
        }
    }

    private Image FindImage(Container spec)
    {
        if (!ImageName.TryParse(spec.Image, out var name)) throw new StartException("InvalidImageName", $"couldn't parse image name \"{spec.Image}\"");
        return node.Images.Find(name)
            ?? throw (spec.ImagePullPolicy == "Never"
                ? new StartException(NeverPull, $"Container image \"{spec.Image}\" is not present with pull policy of Never")
                : new StartException("ErrImagePull", node.Images.Missing(spec.Image)));
    }

    private ContainerRun Prepare(Pod pod, Container spec, Image image, RunFiles files)
    {
        try
        {
            return new(spec, image, ContainerIdentity.Decide(pod.Spec.SecurityContext, spec.SecurityContext, UserOf(pod, spec, image), node.Users, node.Groups),
                files);
        }
        catch (IdentityException e)
        {
            throw new StartException("CreateContainerConfigError", e.Message);
        }
    }

    /// <summary>The user that the Pod requests, or else the image's, as the image knows it.</summary>
    private static ImageUser UserOf(Pod pod, Container spec, Image image)
    {
        if (image.Files is not { } files) return ImageUser.Of(image.User);
        var asked = spec.SecurityContext?.RunAsUser ?? pod.Spec.SecurityContext?.RunAsUser;
        return ImageAccounts.Read(files).Find(asked?.ToString(CultureInfo.InvariantCulture) ?? image.UserName);
    }

    internal ContainerRecord NewRecord(ContainerRun run)
    {
        var id = new byte[32];
        lock (node.Random) node.Random.NextBytes(id);
        return new(run.Spec.Name, Convert.ToHexStringLower(id), run.Files.Attempt, null, node.Time.GetUtcNow(), run.Spec.Image, ImageCatalogue.IdOf(run.Image));
    }

    /// <exception cref="StartException">The container cannot be configured or started.</exception>
    internal async Task<RunningContainer> StartAsync(PodResources pod, ContainerRun run)
    {
        var request = new LaunchPlan(node).Make(pod, run);
        MakePipes(run.Files, run.Spec.Stdin);
        // Opened before the program starts, so that none of its output is lost.
        var pipes = OpenPipes(run);
        ContainerProcess process;
        try
        {
            process = ContainerProcess.Started(ProcessIdentity.Of(await ContainerLauncher.StartAsync(request)), run.Files.Exit);
        }
        catch (LaunchException e)
        {
            pipes.Dispose();
            throw new StartException(RunError, e.Message);
        }
        try
        {
            return Run(run, process, pipes);
        }
        catch
        {
            process.Kill();
            process.Dispose();
            throw;
        }
    }

    /// <summary>Takes over a run that an earlier node started; null when it has ended.</summary>
    internal RunningContainer? TryAdopt(Pod pod, Container spec, RunFiles files, ContainerRecord record)
    {
        if (record.Process is null || ContainerProcess.TryAttach(record.Process, files.Exit) is not { } process) return null;
        try
        {
            var run = node.Images.FindRunning(record.ImageId) is { } image ? Prepare(pod, spec, image, files) : Prepare(pod, spec, files);
            return Run(run, process, OpenPipes(run));
        }
        catch
        {
            process.Dispose();
            throw;
        }
    }

    private RunningContainer Run(ContainerRun run, ContainerProcess process, Pipes pipes)
    {
        var log = new LogFile(run.Files.Log, node.Time);
        if (!run.Spec.Tty)
            return new(process, new LogPump(node.Reactor, log, pipes.Output, pipes.Errors),
                run.Identity) { Input = pipes.Input, StopSignal = run.Image.StopSignal };
        pipes.Output.Dispose();
        return new(process, new LogPump(node.Reactor, log, FindTerminal(process), pipes.Errors), run.Identity)
        {
            IsTerminal = true, Input = FindTerminal(process), StopSignal = run.Image.StopSignal,
        };
    }

    internal static void MakePipes(RunFiles files, bool input)
    {
        Directory.CreateDirectory(files.Directory);
        Directory.CreateDirectory(files.Logs);
        MakeFifo(files.Output);
        MakeFifo(files.Errors);
        if (input) MakeFifo(files.Input);
        File.WriteAllText(files.TerminationMessage, "");
        File.SetUnixFileMode(files.TerminationMessage, (UnixFileMode)0b110_110_110);
        File.Delete(files.Exit);
    }

    private static Pipes OpenPipes(ContainerRun run) => new(
        OpenReader(run.Files.Output), OpenReader(run.Files.Errors), run.Spec is { Stdin: true, Tty: false } ? OpenInput(run.Files.Input) : null);

    private static void MakeFifo(string path)
    {
        File.Delete(path);
        LinuxException.Check(Libc.MakeFifo(path, 0b110_110_110), $"mkfifo {path}");
        // Everyone in the container may reopen /dev/stdout, whatever our umask is.
        File.SetUnixFileMode(path, (UnixFileMode)0b110_110_110);
    }

    private static SafeFileHandle OpenReader(string path)
    {
        var handle = Descriptors.Open(path, Libc.ORdOnly | Libc.ONonBlock);
        Descriptors.TryEnlarge(handle.Number(), PipeBytes);
        return handle;
    }

    // Opened for both ways: opening only to write fails until the container reads.
    private static SafeFileHandle OpenInput(string path) => Descriptors.Open(path, Libc.ORdWr | Libc.ONonBlock);

    /// <summary>The master of the container's terminal, which its outermost process holds for the node.</summary>
    private static SafeFileHandle FindTerminal(ContainerProcess process)
    {
        var copy = Descriptors.TryCopyFrom(process.Outer, ContainerLauncher.TerminalDescriptor)
            ?? throw new StartException(RunError, "the container's terminal is gone");
        Descriptors.SetNonBlocking(copy.Number());
        return copy;
    }

    /// <summary>Our ends of a container's pipes.</summary>
    private sealed record Pipes(SafeFileHandle Output, SafeFileHandle Errors, SafeFileHandle? Input) : IDisposable
    {
        public void Dispose()
        {
            Output.Dispose();
            Errors.Dispose();
            Input?.Dispose();
        }
    }
}
