using System.ComponentModel;
using System.Diagnostics;
using Isthmus.Core.Problems;

namespace Isthmus.Capture;

/// <summary>Loads a ruleset with the nft program.</summary>
internal static class Nft
{
    private static readonly string[] Places = ["/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"];

    /// <exception cref="ProblemException">nft is missing, lacks permission or rejects the rules.</exception>
    public static async Task LoadAsync(string rules, CancellationToken stop)
    {
        using var process = Start();
        await LoadAsync(process, rules, stop).ConfigureAwait(false);
    }

    /// <summary>Starts nft in the network namespace of the calling thread. It queues no work, which could leave other threads in that
    /// namespace.</summary>
    /// <exception cref="ProblemException">nft is missing.</exception>
    public static Process Start()
    {
        // The PATH of a container often lacks the sbin directories.
        var program = Places.FirstOrDefault(File.Exists) ?? "nft";
        try
        {
            return Process.Start(new ProcessStartInfo(program, ["-f", "-"]) { RedirectStandardInput = true, RedirectStandardError = true })
                ?? throw new ProblemException(program, "could not be started");
        }
        catch (Win32Exception e)
        {
            throw new ProblemException("traffic capture", "the program nft was not found", "install the package nftables", e);
        }
    }

    /// <param name="process">As <see cref="Start"/> returned it.</param>
    /// <exception cref="ProblemException">nft lacks permission or rejects the rules.</exception>
    public static async Task LoadAsync(Process process, string rules, CancellationToken stop)
    {
        var errors = process.StandardError.ReadToEndAsync(stop);
        await process.StandardInput.WriteAsync(rules.AsMemory(), stop).ConfigureAwait(false);
        process.StandardInput.Close();
        var said = await errors.ConfigureAwait(false);
        await process.WaitForExitAsync(stop).ConfigureAwait(false);
        if (process.ExitCode != 0) throw Refused(said.Trim());
    }

    private static ProblemException Refused(string said) =>
        said.Contains("Operation not permitted", StringComparison.Ordinal)
            ? new("traffic capture", "the kernel does not permit nftables rules in this network namespace", "run as root with the capability NET_ADMIN")
            : new("traffic capture", $"nft rejected the rules: {said}", "the kernel needs nf_tables with NAT and redirect");
}
