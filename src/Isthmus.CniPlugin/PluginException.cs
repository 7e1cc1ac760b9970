namespace Isthmus.CniPlugin;

/// <summary>Why a call failed, with a code of the CNI specification: 1 to 99 are reserved, 100 and above are the plug-in's own.</summary>
internal sealed class PluginException(int code, string message, string details = "") : Exception(message)
{
    internal const int IncompatibleVersion = 1, InvalidEnvironment = 4, DecodingFailed = 6, InvalidConfiguration = 7, TryAgainLater = 11, Refused = 100;

    internal int Code => code;

    internal string Details => details;
}
