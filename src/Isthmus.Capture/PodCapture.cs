using System.Diagnostics;
using Isthmus.Core.Flags;
using Isthmus.Core.Problems;

namespace Isthmus.Capture;

/// <summary>Captures the traffic of a Pod from outside of it, with the rules that its own init container would load.</summary>
public static class PodCapture
{
    private static readonly CaptureHost Node = new(CaptureHost.Read().UserMap, []);

    /// <summary>The ruleset for the flags of the Pod's container <c>istio-validation</c>.</summary>
    /// <param name="flags">The flags of istio-iptables, without the program's name.</param>
    /// <param name="environment">Of that container.</param>
    /// <exception cref="ProblemException">A flag is invalid.</exception>
    public static string Rules(IReadOnlyList<string> flags, IReadOnlyDictionary<string, string> environment)
    {
        try
        {
            // The Pod's resolv.conf is not known here: with DNS capture, queries to all servers are captured.
            return CaptureRules.Write(CaptureFlags.Read(flags, environment), Node);
        }
        catch (WrongUseException e)
        {
            throw new ProblemException("istio-validation", e.Message, "correct the arguments of this container", e);
        }
    }

    /// <summary>Starts the program that will load a ruleset in the network namespace of the calling thread.</summary>
    /// <exception cref="ProblemException">nft is missing.</exception>
    public static Process StartLoader() => Nft.Start();

    /// <exception cref="ProblemException">nft lacks permission or rejects the rules.</exception>
    public static Task LoadAsync(Process loader, string rules, CancellationToken stop) => Nft.LoadAsync(loader, rules, stop);
}
