using System.Globalization;
using Isthmus.Core.Collections;
using Isthmus.Core.Names;
using Isthmus.Kubernetes.Objects;
using Isthmus.Lab.Machine.Linux;
using Isthmus.Lab.Nodes.Processes;

namespace Isthmus.Lab.Nodes.Containers;

/// <summary>The user and groups that a container runs as, and its capabilities.</summary>
/// <param name="User">The UID inside the lab. If only one UID is mapped, it is 0 even if the Pod requests 1337.</param>
/// <param name="Capabilities">Without CAP_, lower case, sorted.</param>
internal sealed record ContainerIdentity(long User, long Group, ValueList<long> Groups, ValueList<string> Capabilities, bool NoNewPrivileges)
{
    /// <summary>Where <c>HOME</c> points.</summary>
    internal string Home { get; init; } = "/";

    /// <summary>The capabilities of every container, unless it drops them. This is the default of container runtimes
    /// without mknod and raw sockets, which would let a container leave the mesh.</summary>
    internal static readonly ValueList<string> Usual =
        ["chown", "dac_override", "fowner", "fsetid", "kill", "net_bind_service", "setgid", "setpcap", "setuid", "sys_chroot"];

    /// <summary>The capabilities that a container may request in addition. None of them reaches beyond its namespaces, and
    /// sys_admin is never among them.</summary>
    internal static readonly ValueList<string> Grantable =
        ["audit_write", "ipc_lock", "net_admin", "net_broadcast", "net_raw", "setfcap", "sys_nice", "sys_ptrace"];

    /// <summary>Decides from the Pod, the image's user and the IDs that exist here.</summary>
    /// <exception cref="IdentityException">The Pod requests something that the lab does not grant.</exception>
    internal static ContainerIdentity Decide(PodSecurityContext? pod, SecurityContext? own, ImageUser image, IdMap users, IdMap groups)
    {
        var user = own?.RunAsUser ?? pod?.RunAsUser ?? image.Id;
        if ((own?.RunAsNonRoot ?? pod?.RunAsNonRoot) == true && user == 0)
            throw new IdentityException("container has runAsNonRoot and image will run as root");
        var asked = own?.RunAsUser ?? pod?.RunAsUser;
        if ((own?.RunAsNonRoot ?? pod?.RunAsNonRoot) == true && asked is null && image.Name.Length > 0)
            throw new IdentityException($"container has runAsNonRoot and image has non-numeric user ({image.Name}), cannot verify user is non-root");
        var capabilities = Allowed(own).ToHashSet(StringComparer.Ordinal);
        if (!users.Contains(user))
        {
            var isProxy = user == ProxyUser.Id;
            if (asked is not null && !isProxy)
                throw new IdentityException(
                    $"runAsUser {user} is not available: this lab has only one user id (rootless without newuidmap). "
                    + "Install uidmap and give yourself a range in /etc/subuid and /etc/subgid, or leave runAsUser out");
            // The proxy marks its own traffic to exclude it from capture, and needs this capability for the mark.
            if (isProxy) capabilities.Add("net_raw");
            user = 0;
        }
        var group = own?.RunAsGroup ?? pod?.RunAsGroup ?? image.Group;
        ValueList<long> more = [.. (pod?.SupplementalGroups ?? []).Concat(image.Groups).Concat(pod?.FsGroup is { } fs ? [fs] : []).Where(groups.Contains)
            .Distinct().Order()];
        return new(user, groups.Contains(group) ? group : 0, more, [.. capabilities.Order(StringComparer.Ordinal)],
            own?.AllowPrivilegeEscalation == false || users.IsSingle)
        {
            Home = image.Home.Length > 0 ? image.Home : user == 0 ? "/root" : "/",
        };
    }

    /// <summary>Gives the calling thread everything of this identity except the user.</summary>
    internal void PrepareThread(bool canSetGroups)
    {
        ThreadCredentials.LimitCapabilities(CapabilityNumbers.MaskOf(Capabilities));
        if (NoNewPrivileges) ThreadCredentials.ForbidNewPrivileges();
        if (canSetGroups) ThreadCredentials.SetGroups((uint)Group, [.. Groups.Select(one => (uint)one)]);
    }

    /// <summary>The setpriv command that starts a program with this identity.</summary>
    /// <param name="canSetGroups">False in a user namespace with a single ID, where the kernel denies it.</param>
    internal IEnumerable<string> ToSetPriv(bool canSetGroups)
    {
        yield return "setpriv";
        if (canSetGroups)
        {
            yield return $"--reuid={User.ToString(CultureInfo.InvariantCulture)}";
            yield return $"--regid={Group.ToString(CultureInfo.InvariantCulture)}";
            yield return Groups.IsEmpty ? "--clear-groups" : $"--groups={string.Join(',', Groups)}";
        }
        yield return "--inh-caps=-all";
        yield return "--bounding-set=-all" + string.Concat(Capabilities.Select(one => ",+" + one));
        if (NoNewPrivileges) yield return "--no-new-privs";
        yield return "--";
    }

    private static IEnumerable<string> Allowed(SecurityContext? own)
    {
        if (own?.Privileged == true) return Usual.Concat(Grantable);
        var drop = (own?.Capabilities?.Drop ?? []).Select(Plain).ToHashSet(StringComparer.Ordinal);
        var add = (own?.Capabilities?.Add ?? []).Select(Plain).ToList();
        var kept = drop.Contains("all") ? [] : Usual.Where(one => !drop.Contains(one));
        if (add.Contains("all")) return kept.Concat(Usual).Concat(Grantable).Where(one => drop.Contains("all") || !drop.Contains(one));
        foreach (var one in add)
        {
            if (!Usual.Contains(one) && !Grantable.Contains(one))
                throw new IdentityException(
                    $"capability {one.ToUpperInvariant()} is not allowed: it reaches beyond the Pod. Allowed: "
                        + $"{string.Join(", ", Grantable).ToUpperInvariant()}");
        }
        return kept.Concat(add);
    }

    private static string Plain(string capability)
    {
        var name = capability.ToLowerInvariant();
        return name.StartsWith("cap_", StringComparison.Ordinal) ? name[4..] : name;
    }
}

/// <summary>A Pod requests a user or a capability that the lab does not grant: CreateContainerConfigError.</summary>
internal sealed class IdentityException(string message) : Exception(message);
