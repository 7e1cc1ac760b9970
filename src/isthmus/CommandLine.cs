using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text;
using Isthmus.Capture;
using Isthmus.Commands;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;
using Isthmus.Kubernetes.Client;
using Isthmus.Operate.MeshFile;
using Isthmus.Options;

namespace Isthmus;

/// <summary>Selects the command by the first word, so that no command pays for building the others.</summary>
internal static class CommandLine
{
    /// <summary>Processes of a mesh and of the lab: started by Pods and by the lab, not by users. They need Linux.</summary>
    private static readonly Dictionary<string, Func<string[], CancellationToken, Task<int>>> Roles = new(StringComparer.Ordinal)
    {
        ["discovery"] = global::Isthmus.ControlPlane.DiscoveryProgram.RunAsync,
        ["console-server"] = WebConsole.Viewers.ViewerProgram.RunAsync,
        ["probe"] = ProbeRole.RunAsync,
        ["request"] = RequestRole.RunAsync,
        ["lab-apiserver"] = (args, stop) => LinuxOnly.IsAvailable ? LinuxRoles.ApiServerAsync(args, stop) : throw LinuxOnly.Problem("lab-apiserver"),
        ["lab-node"] = (args, stop) => LinuxOnly.IsAvailable ? LinuxRoles.NodeAsync(args, stop) : throw LinuxOnly.Problem("lab-node"),
        ["lab-supervisor"] = (args, stop) => LinuxOnly.IsAvailable ? LinuxRoles.SupervisorAsync(args, stop) : throw LinuxOnly.Problem("lab-supervisor"),
        ["proxy"] = Proxy.Programs.ProxyProgram.RunAsync,
        ["wait"] = Proxy.Programs.WaitProgram.RunAsync,
        ["istio-iptables"] = CaptureProgram.RunAsync,
        ["install-cni"] = (args, stop) => LinuxOnly.IsAvailable ? LinuxRoles.CniAsync(args, stop) : throw LinuxOnly.Problem("install-cni"),
        ["coredns-plugin"] = Operate.GlobalNames.CorednsPluginProgram.RunAsync,
        ["dns"] = Dns.DnsProgram.RunAsync,
        ["sample"] = Samples.SampleProgram.RunAsync,
    };

    internal static IReadOnlyCollection<string> RoleNames => Roles.Keys;

    /// <summary>Commands for users, in the order of the help text.</summary>
    private static readonly (string Name, Func<Command> Build)[] Commands =
    [
        ("quickstart", () => LinuxOnly.IsAvailable ? QuickstartCommand.Build() : LinuxOnly.Command("quickstart")),
        ("lab", () => LinuxOnly.IsAvailable ? LabCommand.Build() : LinuxOnly.Command("lab")),
        ("mesh", MeshCommand.Build),
        ("ca", CaCommand.Build),
        ("install", InstallCommand.Build),
        ("apply", InstallCommand.BuildApply),
        ("upgrade", InstallCommand.BuildUpgrade),
        ("uninstall", UninstallCommand.Build),
        ("tag", TagCommand.Build),
        ("image", ImageCommand.Build),
        ("manifest", ManifestCommand.Build),
        ("profile", ProfileCommand.Build),
        ("create-remote-secret", CreateRemoteSecretCommand.Build),
        ("verify", VerifyCommand.Build),
        ("trace", TraceCommand.Build),
        ("analyze", AnalyzeCommand.Build),
        ("migrate", MigrateCommand.Build),
        ("diff", DiffCommand.Build),
        ("history", HistoryCommand.Build),
        ("bug-report", BugReportCommand.Build),
        ("console", ConsoleCommand.Build),
        ("global", GlobalCommand.Build),
        ("certificates", CertificatesCommand.Build),
        ("remote-clusters", RemoteClustersCommand.Build),
        ("proxy-status", ProxyStatusCommand.Build),
        ("proxy-config", ProxyConfigCommand.Build),
        ("describe", DescribeCommand.Build),
        ("authz", AuthzCommand.Build),
        ("validate", ValidateCommand.Build),
        ("precheck", PrecheckCommand.Build),
        ("kube-inject", KubeInjectCommand.Build),
        ("admin", AdminCommand.Build),
        ("dashboard", DashboardCommand.Build),
        ("version", VersionCommand.Build),
        ("completion", CompletionCommand.Build),
        ("help", HelpCommand.Build),
        ("experimental", ExperimentalCommand.Build),
        .. InsteadCommands.OfRoot,
    ];

    internal static async Task<int> RunAsync(string[] args)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Cancel(context, stop));
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Cancel(context, stop));
        var isCommand = false;
        try
        {
            // Tables and progress have characters that the console of Windows does not show otherwise.
            if (OperatingSystem.IsWindows()) Console.OutputEncoding = Encoding.UTF8;
            if (args.Length > 0 && Roles.TryGetValue(args[0], out var role))
                return OperatingSystem.IsLinux() ? await role(args[1..], stop.Token) : throw LinuxOnly.Problem($"isthmus {args[0]}");
            isCommand = true;
            args = HelpCommand.Rewrite(args);
            var line = BuildRoot(args).Parse(args);
            // A group without a command shows its help.
            if (line.UnmatchedTokens.Count == 0 && line.CommandResult.Command is { Action: null, Subcommands.Count: > 0 } && line.Action is not PrintVersion)
                line = BuildRoot(args).Parse([.. args, "--help"]);
            // A line that is still being typed is seldom valid.
            if (!CompletionCommand.IsAsked(args) && (line.Errors.Count > 0 || WrongUseText.HasUnknownWord(line))) return WrongUse(line);
            return await line.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null }, stop.Token);
        }
        catch (WrongUseException e)
        {
            Fail(e.Message);
            return ExitCode.WrongUse;
        }
        catch (ProblemException e)
        {
            return Fail(e.Message);
        }
        catch (MeshProblemsException e)
        {
            foreach (var problem in e.Problems) Fail(problem.ToString());
            return ExitCode.Failure;
        }
        catch (KubeException e)
        {
            return Fail(e.Code == 403 ? $"{e.Message} (use a kubeconfig user with the rights to do that, such as cluster-admin)" : e.Message);
        }
        catch (HttpRequestException e)
        {
            return Fail($"the API server cannot be reached: {Unreachable.Describe(e)} (check that the cluster is running, and the address in the kubeconfig)");
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            Tell("Interrupted.");
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (isCommand && e is (IOException or UnauthorizedAccessException))
        {
            // Problems with files named by the user are reported where the files are read; what remains is mostly the standard output.
            return Fail($"cannot read or write: {(e.InnerException ?? e).Message.TrimEnd('.')} (is the disk full, or the standard output closed?)");
        }
    }

    /// <summary>Only the commands that the line may name are built; all of them when it names none (help).</summary>
    internal static RootCommand BuildRoot(string[] args)
    {
        if (ProgramName.IsKind) return LinuxOnly.IsAvailable ? KindCommand.BuildRoot() : throw LinuxOnly.Problem("kind");
        var root = new RootCommand($"Join Kubernetes clusters into one service mesh, and verify that it works.\n\n{ExitCode.Help}");
        GlobalOptions.AddTo(root);
        PrintVersion.AddTo(root);
        HelpExamples.AddTo(root);
        // The value of a global option may look like a command, so every word that could be one counts.
        var words = args.Select(arg => arg switch
        {
            "x" or "exp" => "experimental",
            "v" => "validate",
            "istiod" => "admin",
            "pc" => "proxy-config",
            "dash" or "d" => "dashboard",
            "ps" => "proxy-status",
            _ => arg
        })
            .ToHashSet(StringComparer.Ordinal);
        var isNamed = Commands.Any(command => words.Contains(command.Name));
        foreach (var (name, build) in Commands)
        {
            if (!isNamed || words.Contains(name)) root.Subcommands.Add(build());
        }
        return root;
    }

    private static int WrongUse(ParseResult line)
    {
        Tell(WrongUseText.Of(line, ProgramName.IsKind ? "kind" : "isthmus"));
        return ExitCode.WrongUse;
    }

    private static int Fail(string message)
    {
        Tell($"Error: {message}");
        return ExitCode.Failure;
    }

    private static void Tell(string text)
    {
        try { Console.Error.WriteLine(text); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { /* nobody is reading; the exit code has to do */ }
    }

    private static void Cancel(PosixSignalContext context, CancellationTokenSource stop)
    {
        context.Cancel = true;
        stop.Cancel();
    }
}
