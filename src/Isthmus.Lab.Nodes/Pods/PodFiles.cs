using System.Globalization;
using System.Text;
using Isthmus.Kubernetes.Objects;

namespace Isthmus.Lab.Nodes.Pods;

/// <summary>The texts of /etc/hosts and /etc/resolv.conf of a Pod.</summary>
internal static class PodFiles
{
    /// <summary>What the kernel takes, in bytes.</summary>
    private const int MaxKernelName = 64;

    private const int MaxLabel = 63;

    internal static string Hosts(Pod pod, string podIp, string domain)
    {
        var text = new StringBuilder("# Managed by the lab's node.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
        var (name, full) = (ShortName(pod), FullName(pod, domain));
        text.Append(podIp).Append('\t').Append(full).Append(full.Length > 0 ? "\t" : "").Append(name).Append('\n');
        foreach (var alias in pod.Spec.HostAliases) text.Append(alias.Ip).Append('\t').AppendJoin('\t', alias.Hostnames).Append('\n');
        return text.ToString();
    }

    /// <param name="machine">The machine's own resolv.conf, for Pods that use the node's DNS.</param>
    internal static string ResolvConf(Pod pod, string dnsAddress, string domain, string machine)
    {
        var spec = pod.Spec;
        var (servers, searches, options) = (new List<string>(), new List<string>(), new List<string>());
        var usesCluster = spec.DnsPolicy is "ClusterFirstWithHostNet" || (spec.DnsPolicy is "" or "ClusterFirst" && !spec.HostNetwork);
        if (usesCluster)
        {
            servers.Add(dnsAddress);
            searches.AddRange([$"{pod.Metadata.Namespace}.svc.{domain}", $"svc.{domain}", domain]);
            options.Add("ndots:5");
        }
        if (!usesCluster && spec.DnsPolicy != "None") Read(machine, servers, searches, options);
        if (spec.DnsConfig is { } config)
        {
            servers.AddRange(config.Nameservers.Where(server => !servers.Contains(server)));
            searches.AddRange(config.Searches.Where(search => !searches.Contains(search)));
            foreach (var option in config.Options)
            {
                options.RemoveAll(one => one == option.Name || one.StartsWith(option.Name + ":", StringComparison.Ordinal));
                options.Add(option.Value is { Length: > 0 } value ? $"{option.Name}:{value}" : option.Name);
            }
        }
        var text = new StringBuilder();
        if (searches.Count > 0) text.Append("search ").AppendJoin(' ', searches).Append('\n');
        foreach (var server in servers) text.Append("nameserver ").Append(server).Append('\n');
        if (options.Count > 0) text.Append("options ").AppendJoin(' ', options).Append('\n');
        return text.ToString();
    }

    /// <summary>The host name that the kernel shows the Pod, also in <c>HOSTNAME</c> and /etc/hostname. On the host's network it is the node's.</summary>
    /// <exception cref="SandboxException">The Pod asks for its full name, which is too long.</exception>
    internal static string HostName(Pod pod, string domain, string nodeName)
    {
        if (pod.Spec.HostNetwork) return nodeName;
        var full = pod.Spec.SetHostnameAsFQDN == true ? FullName(pod, domain) : "";
        if (full.Length <= MaxKernelName) return full.Length > 0 ? full : ShortName(pod);
        throw new SandboxException(string.Create(CultureInfo.InvariantCulture,
            $"failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long ({MaxKernelName} characters is the max, {full.Length} "
                + $"characters requested)"));
    }

    /// <summary>With a subdomain, the Pod's name in the cluster's DNS; else empty.</summary>
    private static string FullName(Pod pod, string domain) =>
        pod.Spec.HostnameOverride is null && pod.Spec.Subdomain.Length > 0
            ? $"{ShortName(pod)}.{pod.Spec.Subdomain}.{pod.Metadata.Namespace}.svc.{domain}"
            : "";

    private static string ShortName(Pod pod)
    {
        if (pod.Spec.HostnameOverride is { } name) return name;
        name = pod.Spec.Hostname.Length > 0 ? pod.Spec.Hostname : pod.Metadata.Name;
        return name.Length <= MaxLabel ? name : name[..MaxLabel].TrimEnd('-', '.');
    }

    private static void Read(string machine, List<string> servers, List<string> searches, List<string> options)
    {
        foreach (var line in machine.Split('\n'))
        {
            var words = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2) continue;
            if (words[0] == "nameserver") servers.Add(words[1]);
            else if (words[0] is "search" or "domain") searches.AddRange(words[1..]);
            else if (words[0] == "options") options.AddRange(words[1..]);
        }
    }
}
