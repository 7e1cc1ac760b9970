namespace Isthmus.Options;

/// <summary>Flags of istioctl that Isthmus does not have: each says what to use instead.</summary>
internal static class InsteadFlags
{
    private const string Everywhere = "", Streams = "control planes are asked by port forwarding, with the rights of your kubeconfig user";

    /// <summary>By the command, and the flags of it, without their values. A command stands for those below it.</summary>
    private static readonly (string Command, string[] Flags, string Remedy)[] All =
    [
        (Everywhere, ["--proxy-admin-port"], "the admin interface of proxies is at port 15000"),
        (Everywhere, ["--as", "--as-group", "--as-uid"], "use a context of the kubeconfig whose user impersonates (as, as-groups, as-uid)"),
        (Everywhere, ["--kubeclient-timeout"], "requests have limits of their own"),
        (Everywhere, ["--vklog", "--log_output_level", "--log_as_json", "--log_caller", "--log_target", "--log_stacktrace_level"], "commands write no log"),
        (Everywhere, ["--xds-address", "--xds-port", "--xds-label", "--authority", "--cert-dir", "--insecure", "--plaintext"], Streams),
        ("proxy-status", ["--file"], "compare 'isthmus proxy-config' and 'isthmus experimental internal-debug config_dump?proxyID=POD.NAMESPACE'"),
        ("proxy-status", ["--verbosity", "-v"], "'-o wide' and '-o json' show more"),
        ("proxy-status", ["--revision", "-r"], "the column ISTIOD names the control plane of each proxy"),
        ("remote-clusters", ["--revision", "-r"], "the column ISTIOD names the control plane of each row"),
        ("internal-debug", ["--revision", "-r"], "--all shows the answers of all control planes, by Pod"),
        ("internal-debug", ["--list", "-L"], "the page 'list' shows the pages: isthmus experimental internal-debug list"),
        ("admin log", ["--stack-trace-reset"], "the log has no stack traces"),
        ("admin log", ["--selector", "-l"], "name a Pod, or none for all control planes"),
        ("analyze", ["--revision", "-r"], "objects are checked for all revisions"),
        ("analyze", ["--analyzer"], "all analyzers run; --suppress hides messages"),
        ("proxy-config", ["--waypoint"], "there are no waypoints"),
        ("proxy-config all", ["--with-headers", "--verbose"], "each table has a header, and the columns of -o short"),
        ("proxy-config", ["--verbose"], "'-o json' and '-o yaml' show the whole"),
        ("proxy-config", ["--type"], "filter listeners by --address and --port, or the output of '-o json'"),
        ("envoy-stats", ["--selector", "-l"], "name a Pod, deployment/NAME or service/NAME"),
        ("dashboard", ["--ui-port"], "the port is that of the Service or container; --port chooses the local one"),
        ("dashboard", ["--selector", "-l"], "name a Pod, deployment/NAME or service/NAME"),
        ("describe service", ["--ignoreUnmeshed"], "Pods without a sidecar are warned of, whatever the reason"),
        ("kube-inject", ["--injectConfigMapName"],
            "the injection settings of a control plane are in the ConfigMap that --revision selects, or in --injectConfigFile"),
        ("create-remote-secret", ["--tls-server-name"], "add tls-server-name to the cluster in the kubeconfig of the Secret"),
        ("create-remote-secret", ["--auth-plugin-name", "--auth-plugin-config"],
            "control planes run no plug-ins of kubeconfigs: a token of a service account is used (bearer-token)"),
        ("version", ["--revision", "-r"], "the version of each control plane is shown"),
        ("tag", ["--webhook-name"], "the name follows from the tag: istio-revision-tag-TAG"),
        ("tag", ["--auto-inject-namespaces"], "set enableNamespacesByDefault with 'isthmus install'"),
        ("manifest generate", ["--output", "-o"], "redirect the standard output to a file"),
        ("manifest generate", ["--filter"], "the output is YAML, which 'kubectl' and 'yq' can filter"),
        ("manifest generate", ["--cluster-specific"], "manifests are the same for every cluster: no cluster is asked"),
        (Everywhere, ["--charts", "--manifests", "-d"], "the manifests are part of this program; the charts in charts/ are for helm"),
        ("manifest", ["--force"], "values that are not valid are never written"),
        ("uninstall", ["--force"], "whatever is found is removed; what cannot be removed is named"),
        ("uninstall", ["--verbose", "-v"], "each object that is removed is shown"),
        ("bug-report", ["--full-secrets"], "secrets are never packed"),
        ("bug-report", ["--start-time", "--end-time"], "use --duration"),
        ("bug-report", ["--critical-errs", "--ignore-errs"], "all lines of logs are packed"),
        ("bug-report", ["--istio-namespace"], "use --istioNamespace"),
        ("bug-report", ["--tail"], "--duration says how far back logs go; without it, the last 5000 lines are packed"),
        ("bug-report", ["--rq-concurrency"], "Pods are asked side by side, a few at a time"),
        ("bug-report", ["--skip-cluster-dump", "--skip-analyze", "--skip-proxy-debug", "--skip-netstat", "--skip-coredumps"],
            "--include and --exclude select the Pods; cores and network statistics are never packed"),
        ("precheck", ["--output-threshold"], "all findings are shown, with their level; '-o json' is for programs"),
    ];

    /// <returns>What to use instead; null: istioctl has no such flag, either.</returns>
    /// <param name="path">The words of the command.</param>
    /// <param name="given">The flag, with or without a value.</param>
    internal static string? Remedy(IEnumerable<string> path, string given)
    {
        var (command, flag) = ($" {string.Join(' ', path)} ", given.Split('=')[0]);
        return All.FirstOrDefault(one => one.Flags.Contains(flag, StringComparer.Ordinal)
            && (one.Command.Length == 0 || command.Contains($" {one.Command} ", StringComparison.Ordinal))).Remedy;
    }
}
