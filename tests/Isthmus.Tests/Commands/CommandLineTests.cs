using System.CommandLine;
using Isthmus.Commands;
using Isthmus.Core.Problems;
using Isthmus.Operate.Install.Operator;
using Isthmus.Options;
using Xunit;

namespace Isthmus.Tests.Commands;

/// <summary>Responses to command lines as users type them.</summary>
public sealed partial class CommandLineTests
{
    private static ParseResult Parse(params string[] args) => CommandLine.BuildRoot(args).Parse(args);

    private static string Said(params string[] args)
    {
        using var output = new StringWriter();
        Parse(args).Invoke(new InvocationConfiguration { Output = output });
        return output.ToString();
    }

    [Fact]
    public void The_version_is_printed() => Assert.Equal(BuildVersion.Current, Said("--version").Trim());

    [Theory]
    [InlineData("lab up --clusters x", "Error: --clusters: 'x' is not a whole number\nRun 'isthmus lab up --help' for usage.")]
    [InlineData("mesh template --clusters abc", "Error: --clusters: 'abc' is not a whole number\nRun 'isthmus mesh template --help' for usage.")]
    [InlineData("proxy-confg clusters", "Error: unknown command \"proxy-confg\" (did you mean proxy-config?)\nRun 'isthmus --help' for usage.")]
    [InlineData("tag lst", "Error: unknown command \"tag lst\" (did you mean list?)\nRun 'isthmus tag --help' for usage.")]
    [InlineData("proxy-status --nope", "Error: unknown flag --nope\nRun 'isthmus proxy-status --help' for usage.")]
    [InlineData("analyze --analyzer x",
        "Error: --analyzer: is not supported (all analyzers run; --suppress hides messages)\nRun 'isthmus analyze --help' for usage.")]
    [InlineData("analyze -r x", "Error: -r: is not supported (objects are checked for all revisions)\nRun 'isthmus analyze --help' for usage.")]
    [InlineData("proxy-config listeners pod --waypoint",
        "Error: --waypoint: is not supported (there are no waypoints)\nRun 'isthmus proxy-config listeners --help' for usage.")]
    [InlineData("remote-clusters --xds-address=x", "Error: --xds-address: is not supported (control planes are asked by port forwarding, with the rights of "
        + "your kubeconfig user)\nRun 'isthmus remote-clusters --help' for usage.")]
    [InlineData("experimental internal-debug -L", "Error: -L: is not supported (the page 'list' shows the pages: isthmus experimental internal-debug list)\n"
        + "Run 'isthmus experimental internal-debug --help' for usage.")]
    [InlineData("analyze --nope", "Error: unknown flag --nope\nRun 'isthmus analyze --help' for usage.")]
    [InlineData("analyze -o xml",
        "Error: --output: 'xml' is not an output format (use log, table, json, yaml or sarif)\nRun 'isthmus analyze --help' for usage.")]
    [InlineData("analyze --failure-threshold bad",
        "Error: --failure-threshold: 'bad' is not a level (use Info, Warning or Error)\nRun 'isthmus analyze --help' for usage.")]
    [InlineData("kube-inject -f a.yaml --injectConfigFile b.yaml",
        "Error: --injectConfigFile: is not supported (the templates sidecar and gateway are built in: give others to the installation as "
            + "values.sidecarInjectorWebhook.templates, or with --valuesFile)\nRun 'isthmus kube-inject --help' for usage.")]
    [InlineData("analyze --revision canary",
        "Error: --revision: is not supported (the objects of all revisions are analyzed: choose clusters with --contexts)\nRun 'isthmus analyze --help' for "
            + "usage.")]
    [InlineData("lab shell --nope", "Error: unknown flag --nope\nRun 'isthmus lab shell --help' for usage.")]
    [InlineData("proxy-config secrets pod --fqdn x", "Error: unknown flag --fqdn\nRun 'isthmus proxy-config secrets --help' for usage.")]
    [InlineData("verify --nope", "Error: unknown flag --nope\nRun 'isthmus verify --help' for usage.")]
    [InlineData("mesh plan mesh.yaml",
        "Error: unexpected argument 'mesh.yaml' (give files with -f, as in -f mesh.yaml)\nRun 'isthmus mesh plan --help' for usage.")]
    [InlineData("verify cluster1", "Error: unexpected argument 'cluster1'\nRun 'isthmus verify --help' for usage.")]
    [InlineData("verify --contxts=a", "Error: unknown flag --contxts=a (did you mean --contexts?)\nRun 'isthmus verify --help' for usage.")]
    [InlineData("mesh plan --kubconfig x", "Error: unknown flag --kubconfig (did you mean --kubeconfig?)\nRun 'isthmus mesh plan --help' for usage.")]
    [InlineData("mesh plan", "Error: flag --filename is required\nRun 'isthmus mesh plan --help' for usage.")]
    [InlineData("ca intermediate", "Error: argument <cluster> is required\nRun 'isthmus ca intermediate --help' for usage.")]
    [InlineData("version --context", "Error: flag --context needs a value\nRun 'isthmus version --help' for usage.")]
    [InlineData("proxy-config clusters pod --direction up",
        "Error: --direction: 'up' is not a direction (use inbound or outbound)\nRun 'isthmus proxy-config clusters --help' for usage.")]
    [InlineData("proxy-config all pod --direction up",
        "Error: --direction: 'up' is not a direction (use inbound or outbound)\nRun 'isthmus proxy-config all --help' for usage.")]
    [InlineData("verify -o xml", "Error: --output: 'xml' is not an output format (use table, json or yaml)\nRun 'isthmus verify --help' for usage.")]
    [InlineData("trace a b --timeout 5",
        "Error: --timeout: invalid duration '5' (use a number and a unit, for example 90s or 5m)\nRun 'isthmus trace --help' for usage.")]
    [InlineData("trace a b --timeout 10m",
        "Error: --timeout: duration '10m' cannot be kept (use a duration from 1ms to 5m)\nRun 'isthmus trace --help' for usage.")]
    [InlineData("trace a b --timeout 0s",
        "Error: --timeout: duration '0s' cannot be kept (use a duration from 1ms to 5m)\nRun 'isthmus trace --help' for usage.")]
    [InlineData("create-remote-secret --token-duration x",
        "Error: --token-duration: invalid duration 'x' (use a number and a unit, for example 90s or 5m)\nRun 'isthmus create-remote-secret --help' for usage.")]
    [InlineData("version --context a --context b", "Error: flag --context is given more than once\nRun 'isthmus version --help' for usage.")]
    public void A_mistake_is_told_in_one_line(string line, string told) => Assert.Equal(told, WrongUseText.Of(Parse(line.Split(' ')), "isthmus"));

    [Theory]
    [InlineData("nope --help", true)]
    [InlineData("lab nope --help", true)]
    [InlineData("verify --nope --help", true)]
    [InlineData("proxy-status --nope", true)]
    [InlineData("lab up --help", false)]
    [InlineData("analyze -", false)]
    [InlineData("lab shell -- ls -l", false)]
    [InlineData("lab shell -- -l", false)]
    [InlineData("lab shell ls -l", false)]
    [InlineData("proxy-status pod", false)]
    public void Words_that_nobody_knows_are_told_of_beside_help_and_where_a_name_belongs(string line, bool wrong) =>
        Assert.Equal(wrong, WrongUseText.HasUnknownWord(Parse(line.Split(' '))));

    [Theory]
    [InlineData("version --context nope", "context \"nope\" does not exist (contexts are: here, there)")]
    [InlineData("lab up --take-over", "--take-over: requires --topology (add --topology, or omit this flag)")]
    [InlineData("lab up --timeout 9m", "--timeout: requires --topology (add --topology, or omit this flag)")]
    [InlineData("lab up --flat --network cluster1=a", "--flat: cannot be combined with --network (use one of them)")]
    [InlineData("uninstall --purge --revision x", "--purge: removes all revisions and cannot be combined with --revision (use one of them)")]
    [InlineData("uninstall --purge -f x.yaml", "--purge: removes all revisions and cannot be combined with --filename (use one of them)")]
    [InlineData("image build --platform linux/riscv64", "--platform: 'linux/riscv64' is not supported (use linux/amd64 or linux/arm64)")]
    [InlineData("image build --tag a//b", "--tag: 'a//b' is not the name of an image (for example registry.example.com/isthmus:1.0)")]
    [InlineData("image build --output /", "--output: / is a directory (specify a file)")]
    [InlineData("image build --output /nowhere/image.tar", "--output: the directory /nowhere does not exist (create it first)")]
    [InlineData("image push x@sha256:00", "image: 'x@sha256:00' is not the name of an image with a tag (for example registry.example.com/isthmus:1.0)")]
    [InlineData("image push x --username me",
        "--username: needs --password-stdin, and vice versa (use both, for example: isthmus image push IMAGE --username USER --password-stdin < FILE)")]
    [InlineData("image push x --file /nowhere", "image archive /nowhere: does not exist (check the file's name)")]
    [InlineData("image push 127.0.0.1:1/isthmus:1", "registry 127.0.0.1:1: cannot be reached: Connection refused (check the name and the network)")]
    [InlineData("image load --to nomad", "--to: 'nomad' is not a place for images (use containerd, docker, podman, kind or k3s)")]
    [InlineData("image build --mirror nowhere", "--mirror: 'nowhere' is not an address (for example http://deb.debian.org/debian)")]
    [InlineData("manifest generate -f /", "-f /: is a directory (name a file in it)")]
    [InlineData("x wait pod web.shop",
        "wait: 'pod' is not a type that affects proxies (use one of gateway, virtualservice, destinationrule, serviceentry, workloadentry, sidecar, "
            + "envoyfilter, proxyconfig, peerauthentication, authorizationpolicy, requestauthentication, telemetry, wasmplugin)")]
    [InlineData("x wait virtualservice", "wait: no name is given (for example: isthmus experimental wait virtualservice reviews.default)")]
    [InlineData("x wait vs web.shop --threshold 95", "--threshold: '95' is not a share (give a number from 0 to 1, for example 0.95)")]
    [InlineData("x workload group create",
        "isthmus experimental workload: is not supported (instead: WorkloadGroups have no effect: virtual machines join with a ServiceEntry and "
            + "WorkloadEntries)")]
    [InlineData("dashboard kiali --port 70000", "--port 70000: is not a port number (use a number from 0 to 65535)")]
    [InlineData("dashboard envoy a --address example.com", "--address example.com: is not an IP address (use localhost, or an address of this machine)")]
    [InlineData("version --kubeconfig /", "kubeconfig /: is a directory (name a file in it)")]
    [InlineData("verify --kubeconfig /nope", "kubeconfig /nope: does not exist (use --kubeconfig, set KUBECONFIG, or create a cluster with 'isthmus lab up')")]
    [InlineData("analyze --kubeconfig /nope:/nor",
        "kubeconfig /nope:/nor: does not exist (use --kubeconfig, set KUBECONFIG, or create a cluster with 'isthmus lab up')")]
    [InlineData("verify --kubeconfig /etc/hosts:/nope",
        "kubeconfig /etc/hosts:/nope: does not exist (--kubeconfig names one file; for several, set KUBECONFIG=/etc/hosts:/nope)")]
    public async Task What_cannot_be_is_told_before_anything_is_done(string line, string told)
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, "contexts: [{name: here}, {name: there}]\n", TestContext.Current.CancellationToken);
        string[] args = line.Contains("--kubeconfig", StringComparison.Ordinal) ? line.Split(' ') : [.. line.Split(' '), "--kubeconfig", file];
        try
        {
            var refused = await Assert.ThrowsAnyAsync<ProblemException>(() => Parse(args)
                .InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }, TestContext.Current.CancellationToken));
            Assert.EndsWith(told, refused.Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>A flag that is known and not supported is an error only when it is given.</summary>
    [Fact]
    public void No_command_refuses_a_flag_that_is_not_given() =>
        Assert.All(Lines(CommandLine.BuildRoot([]), []),
            line => Assert.DoesNotContain(Parse(line).Errors, error => error.Message.Contains("is not supported", StringComparison.Ordinal)));

    [Theory]
    [InlineData("profile list --help", false)]
    [InlineData("completion --help", false)]
    [InlineData("verify --help", true)]
    public void Help_has_the_options_of_clusters_where_they_mean_something(string line, bool expected)
    {
        Assert.Equal(expected, Said(line.Split(' ')).Contains("--istioNamespace", StringComparison.Ordinal));
        Assert.All(GlobalOptions.All, option => Assert.False(option.Hidden));
    }

    /// <summary>Whoever knows istioctl is told what to use in place of its commands that are not here.</summary>
    [Theory]
    [InlineData("waypoint apply -n shop --enroll-namespace --wait", "isthmus waypoint: is not supported (instead: there are no waypoints")]
    [InlineData("experimental waypoint list", "isthmus experimental waypoint: is not supported (instead: there are no waypoints")]
    [InlineData("ztunnel-config workload -o json", "isthmus ztunnel-config: is not supported (instead: there is no ambient mode")]
    [InlineData("verify-install -f file.yaml", "isthmus verify-install: is not supported (instead: 'isthmus verify')")]
    [InlineData("operator init", "isthmus operator: is not supported (instead: 'isthmus install -f FILE'")]
    [InlineData("manifest translate -f file.yaml", "isthmus manifest translate: is not supported (instead: charts and 'isthmus install' take")]
    [InlineData("manifest diff one.yaml other.yaml", "isthmus manifest diff: is not supported (instead: write both")]
    public void A_command_of_istioctl_that_is_not_here_says_what_to_use(string line, string said)
    {
        var parsed = Parse(line.Split(' '));
        Assert.Empty(parsed.Errors);
        Assert.False(WrongUseText.HasUnknownWord(parsed));
        Assert.StartsWith(said, Assert.Throws<Core.Flags.WrongUseException>(() =>
            parsed.Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Manifest_install_is_install() => Assert.Empty(Parse("manifest", "install", "-y", "--set", "profile=minimal").Errors);

    [Fact]
    public void Help_needs_nothing_that_the_command_requires() =>
        Assert.All(Lines(CommandLine.BuildRoot([]), []), line => Assert.Empty(Parse([.. line, "--help"]).Errors));

    [Fact]
    public void Help_of_each_command_ends_with_examples_that_are_valid()
    {
        foreach (var command in CommandLine.BuildRoot([]).Subcommands.Where(command => !command.Hidden))
        {
            var help = Said(command.Name, "--help");
            var examples = help[help.LastIndexOf("Examples:", StringComparison.Ordinal)..].Split('\n').Select(line => line.Trim())
                .Where(line => line.StartsWith("isthmus ", StringComparison.Ordinal)).ToList();
            Assert.True(examples.Exists(line => line.StartsWith($"isthmus {command.Name}", StringComparison.Ordinal)), command.Name);
            foreach (var example in examples)
            {
                var words = Words().Matches(example.Split(" | ")[0].Split(" > ")[0]).Select(word => word.Value.Trim('\'', '"')).Skip(1).ToArray();
                var line = Parse(HelpCommand.Rewrite(words));
                Assert.True(line.Errors.Count == 0 && !WrongUseText.HasUnknownWord(line),
                    $"{example}: {string.Join(", ", line.Errors.Select(error => error.Message))}");
            }
        }
        Assert.Contains("\n  install  ", Said("--help"), StringComparison.Ordinal);
        Assert.Empty(Parse("apply", "-y").Errors);
        Assert.Contains("--topology <topology>", Said("lab", "up", "--help"), StringComparison.Ordinal);
    }

    [System.Text.RegularExpressions.GeneratedRegex("'[^']*'|\"[^\"]*\"|\\S+")]
    private static partial System.Text.RegularExpressions.Regex Words();

    [Fact]
    public async Task A_shell_is_told_the_contexts_of_the_kubeconfig()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "contexts: [{name: here}, {name: there}]\n", TestContext.Current.CancellationToken);
            const string typed = "isthmus verify --contexts here,t";
            var (_, suggested,
                _) = await StartedProgram.RunAsync([$"[suggest:{typed.Length}]", typed], TestContext.Current.CancellationToken, ("KUBECONFIG", file));
            Assert.Equal("here,there", suggested.Trim());
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static IEnumerable<string[]> Lines(Command command, string[] path) =>
        command.Subcommands.Count == 0 ? [path] : command.Subcommands.SelectMany(below => Lines(below, [.. path, below.Name]));

    /// <summary>Nothing of this asks a cluster or starts anything: there is none.</summary>
    [Theory]
    [InlineData("admin log --level debug")]
    [InlineData("proxy-config log web --level http:loud")]
    [InlineData("proxy-config log")]
    [InlineData("x wait --for=delete")]
    [InlineData("precheck --skip-controlplane")]
    [InlineData("verify --nope")]
    [InlineData("proxy-config clusters pod --direction up")]
    [InlineData("proxy-status -o xml")]
    [InlineData("trace a b --timeout 5")]
    [InlineData("trace a ftp://b")]
    [InlineData("trace a b:x --no-call")]
    [InlineData("image build --platform linux/riscv64")]
    [InlineData("image build --tag a//b")]
    [InlineData("image build --mirror nowhere")]
    [InlineData("image push x@sha256:00")]
    [InlineData("image push x --username me")]
    [InlineData("image load --to nomad")]
    [InlineData("ca root --days 0")]
    [InlineData("ca root --key-type dsa")]
    [InlineData("create-remote-secret --auth-type plugin")]
    [InlineData("create-remote-secret --token-duration x")]
    [InlineData("manifest generate --set x")]
    [InlineData("mesh template nope")]
    [InlineData("uninstall")]
    [InlineData("uninstall --purge --revision x")]
    [InlineData("lab up --clusters 0")]
    [InlineData("lab up --flat --network cluster1=a")]
    [InlineData("lab up --network cluster1")]
    [InlineData("lab create cluster")]
    [InlineData("lab create cluster --name a_b")]
    [InlineData("lab delete cluster a --name b")]
    public async Task A_line_that_is_not_valid_exits_with_2_whatever_is_wrong(string line) => Assert.Equal(2, await CommandLine.RunAsync(line.Split(' ')));

    [Theory]
    [InlineData("manifest generate -f /nowhere.yaml")]
    [InlineData("version --kubeconfig /")]
    public async Task What_a_valid_line_names_and_is_not_there_exits_with_1(string line) => Assert.Equal(1, await CommandLine.RunAsync(line.Split(' ')));

    [Theory]
    [InlineData("--context lab version", "version")]
    [InlineData("--context x verify", "verify")]
    [InlineData("-n mesh tag list", "list")]
    public void The_value_of_a_global_option_may_be_the_name_of_a_command(string line, string command)
    {
        var parsed = Parse(line.Split(' '));
        Assert.Empty(parsed.Errors);
        Assert.Equal(command, parsed.CommandResult.Command.Name);
    }

    [Fact]
    public void Help_is_found_under_the_name_that_was_typed() =>
        Assert.EndsWith("Run 'kind get --help' for usage.", WrongUseText.Of(KindCommand.BuildRoot().Parse(["get", "clutsers"]), "kind"));

    [Theory]
    [InlineData("lab stop cluster --cluster cluster2")]
    [InlineData("lab stop cluster --name cluster2")]
    [InlineData("lab start apiserver cluster2")]
    [InlineData("lab delete cluster cluster2")]
    [InlineData("lab delete cluster --cluster=cluster2")]
    public void A_cluster_is_named_by_any_option_or_none(string line) => Assert.Empty(Parse(line.Split(' ')).Errors);

    [Fact]
    public void Help_is_another_way_to_ask_for_help()
    {
        Assert.Equal(["lab", "up", "--help"], HelpCommand.Rewrite(["help", "lab", "up"]));
        Assert.Equal(["--help"], HelpCommand.Rewrite(["help"]));
        Assert.Equal(["lab", "help"], HelpCommand.Rewrite(["lab", "help"]));
    }

    [Theory]
    [InlineData("isthmus pro", "profile proxy-config proxy-status")]
    [InlineData("isthmus proxy-config rootca", "rootca-compare")]
    [InlineData("isthmus lab stop clus", "cluster")]
    [InlineData("isthmus lab up --topology primary", "primary-remote primary-remote-multi-network")]
    public void A_shell_is_told_what_may_follow(string typed, string expected)
    {
        string[] asked = [$"[suggest:{typed.Length}]", typed];
        Assert.True(CompletionCommand.IsAsked(asked));
        var begun = typed.Split(' ')[^1];
        Assert.Equal(expected.Split(' '),
            Said(asked).Split('\n').Select(line => line.Trim()).Where(line => line.StartsWith(begun, StringComparison.Ordinal)).Order());
    }

    [Theory]
    [InlineData("bash")]
    [InlineData("zsh")]
    [InlineData("fish")]
    [InlineData("powershell")]
    public void Every_shell_has_a_script_that_asks(string shell) => Assert.Contains("[suggest:", Said("completion", shell));
}
