using System.CommandLine;
using Isthmus.Core.Flags;

namespace Isthmus.Options;

/// <summary>Checks of values while the command line is read: an invalid one ends the command before it does anything.</summary>
internal static class CheckedOption
{
    /// <param name="check">Throws for a value that is not valid; its message is the error.</param>
    internal static Option<T> Checked<T>(this Option<T> option, Action<string> check)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is not [.., var given]) return;
            try
            {
                check(given.Value);
            }
            catch (WrongUseException e)
            {
                result.AddError(e.Message);
            }
        });
        return option;
    }

    /// <summary>An option of istioctl that is known, and not supported.</summary>
    internal static Option<T> Refused<T>(this Option<T> option, string remedy)
    {
        option.Validators.Add(result =>
        {
            // A flag without a value has one when it is not given, too.
            if (!result.Implicit) result.AddError(new WrongUseException(option.Name, "is not supported", remedy).Message);
        });
        return option;
    }

    /// <summary>The option takes one of these words.</summary>
    /// <param name="wrong">What another word is not, for example <c>is not a direction</c>.</param>
    internal static Option<T> OneOf<T>(this Option<T> option, StringComparer comparer, string wrong, string remedy, params string[] words) =>
        option.Checked(value => _ = words.Contains(value, comparer) ? value : throw new WrongUseException(option.Name, $"'{value}' {wrong}", remedy));
}
