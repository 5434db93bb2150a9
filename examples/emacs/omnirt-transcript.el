;;; omnirt-transcript.el --- The buffer in which a talk is shown  -*- lexical-binding: t; -*-

;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; A transcript is made of entries, which may still grow after others have
;; come.  `omnirt-transcript-tell' takes what the daemon tells of a session.

;;; Code:

(require 'cl-lib)
(require 'seq)
(require 'subr-x)

(defvar-local omnirt-transcript-over nil
  "Whether the talk of this buffer is over.")
(defvar-local omnirt-transcript-shown-as nil
  "Alist of texts that are not shown in full, and what stands for them.")
(defvar-local omnirt-transcript--state nil
  "What the agent is doing.")
(defvar-local omnirt-transcript--agent "Agent"
  "The name of the agent that speaks.")
(defvar-local omnirt-transcript--entries nil
  "Hash table of entries by the id of their item or tool call.")

(cl-defstruct omnirt-transcript--entry
  "What is shown of a message: its texts by content index, or what was heard."
  label parts heard cut)

(defvar omnirt-mode-map (make-sparse-keymap)
  "Keys of a transcript.")

(define-derived-mode omnirt-mode special-mode "Omnirt"
  "Major mode of the transcript of a talk with a voice agent."
  (setq omnirt-transcript--entries (make-hash-table :test #'equal))
  (setq-local mode-line-process
              '(omnirt-transcript--state (":" omnirt-transcript--state)))
  (setq-local font-lock-defaults
              '((("^You:" . font-lock-variable-name-face)
                 ("^[*] .*" . font-lock-comment-face)
                 ("^! .*" . font-lock-warning-face)
                 ("^[^ :\n]+:" . font-lock-function-name-face))
                t))
  (buffer-disable-undo)
  (visual-line-mode))

(defun omnirt-transcript--put (entry text)
  "Show TEXT for ENTRY (any object, known by `eq'): at its place, or the end."
  (let* ((inhibit-read-only t)
         (windows (seq-filter (lambda (window)
                                (= (window-point window) (point-max)))
                              (get-buffer-window-list nil nil t)))
         (start (text-property-any (point-min) (point-max)
                                   'omnirt-entry entry)))
    (save-excursion
      (goto-char (or start (point-max)))
      (when start
        (delete-region start (next-single-property-change
                              start 'omnirt-entry nil (point-max))))
      (unless (string-empty-p text)
        (insert (propertize (concat (string-replace "\n" "\n  " text) "\n")
                            'omnirt-entry entry))))
    (restore-buffer-modified-p nil)
    (dolist (window windows)
      (set-window-point window (point-max)))))

(defun omnirt-transcript-note (format &rest arguments)
  "Add a line made of FORMAT and ARGUMENTS."
  (omnirt-transcript--put (list 'note) (apply #'format format arguments)))

(defun omnirt-transcript-finish (reason)
  "Show that the talk is over, and REASON."
  (unless omnirt-transcript-over
    (setq omnirt-transcript-over t)
    (omnirt-transcript-note "* The talk is over: %s" reason)
    (omnirt-transcript-state nil)))

(defun omnirt-transcript-state (state)
  "Show STATE in the mode line."
  (setq omnirt-transcript--state state)
  (force-mode-line-update))

(defun omnirt-transcript--entry (id role)
  "Give the entry of the message ID, which somebody of ROLE said."
  (or (gethash id omnirt-transcript--entries)
      (puthash id (make-omnirt-transcript--entry
                   :label (if (equal role "user") "You"
                            omnirt-transcript--agent))
               omnirt-transcript--entries)))

(defun omnirt-transcript--show (entry)
  "Show ENTRY as it is now; of an answer that was cut what was heard counts."
  (let* ((parts (sort (copy-sequence (omnirt-transcript--entry-parts entry))
                      #'car-less-than-car))
         (text (or (omnirt-transcript--entry-heard entry)
                   (mapconcat #'cdr parts "\n")))
         (instead (cdr (assoc text omnirt-transcript-shown-as)))
         (cut (omnirt-transcript--entry-cut entry)))
    (omnirt-transcript--put
     entry
     (if instead
         (concat "* " instead)
       (format "%s: %s" (omnirt-transcript--entry-label entry)
               (cond ((and cut (string-empty-p text)) "[cut]")
                     (cut (concat text " [cut]"))
                     ((string-empty-p text) "…")
                     (t text)))))))

(defun omnirt-transcript--set-part (entry index text)
  "Make TEXT the part INDEX of ENTRY."
  (setf (alist-get index (omnirt-transcript--entry-parts entry)) text))

(defun omnirt-transcript--item (item)
  "Show ITEM, which is new or changed."
  (when (and (equal (plist-get item :type) "message")
             (not (equal (plist-get item :role) "system")))
    (let ((entry (omnirt-transcript--entry (plist-get item :itemId)
                                           (plist-get item :role))))
      (seq-do-indexed
       (lambda (part index)
         (when-let ((text (or (plist-get part :text)
                              (plist-get part :transcript)
                              (and (equal (plist-get part :type) "image")
                                   "(an image)"))))
           (omnirt-transcript--set-part entry index text)))
       (plist-get item :content))
      (when (eq (plist-get item :interrupted) t)
        (setf (omnirt-transcript--entry-cut entry) t
              (omnirt-transcript--entry-heard entry)
              (plist-get item :heardText)))
      (omnirt-transcript--show entry))))

(defun omnirt-transcript--text (params text)
  "Show for the part that PARAMS name TEXT, a function of what it was."
  (let* ((entry (omnirt-transcript--entry (plist-get params :itemId)
                                          (plist-get params :role)))
         (index (plist-get params :contentIndex))
         (was (alist-get index (omnirt-transcript--entry-parts entry) "")))
    (omnirt-transcript--set-part entry index (funcall text was))
    (omnirt-transcript--show entry)))

(defun omnirt-transcript-json (arguments)
  "ARGUMENTS of a tool, as JSON to read.
Emacs 30 and later have bytes in the strings of `json-serialize'."
  (with-temp-buffer
    (json-insert (or arguments (make-hash-table))
                 :false-object :json-false :null-object nil)
    (buffer-string)))

(defun omnirt-transcript--tool (params result)
  "Show the use of a tool that PARAMS tell of, and its RESULT so far."
  (let ((id (plist-get params :toolCallId)))
    (omnirt-transcript--put
     (or (gethash id omnirt-transcript--entries)
         (puthash id (list 'tool) omnirt-transcript--entries))
     (format "* %s(%s): %s" (plist-get params :toolName)
             (truncate-string-to-width
              (omnirt-transcript-json (plist-get params :arguments))
              80 nil nil "…")
             result))))

(defun omnirt-transcript--why (status error)
  "STATUS with the message of ERROR, an object of the daemon or nil."
  (if error (format "%s, %s" status (plist-get error :message)) status))

(defun omnirt-transcript-tell (method params)
  "Show the notification METHOD with PARAMS in the current buffer.
Those that are unknown are passed over: later versions add some."
  (cl-flet ((the (member) (plist-get params member)))
    (pcase method
      ('realtime.state
       (unless omnirt-transcript-over (omnirt-transcript-state (the :state))))
      ((or 'realtime.itemAdded 'realtime.itemUpdated)
       (omnirt-transcript--item (the :item)))
      ('realtime.itemRemoved
       (when-let ((entry (gethash (the :itemId) omnirt-transcript--entries)))
         (remhash (the :itemId) omnirt-transcript--entries)
         (omnirt-transcript--put entry "")))
      ((or 'realtime.textDelta 'realtime.transcriptDelta)
       (omnirt-transcript--text
        params (lambda (was) (concat was (the :delta)))))
      ((or 'realtime.textDone 'realtime.transcriptDone)
       (omnirt-transcript--text
        params (lambda (_) (if (the :error) "(not understood)" (the :text)))))
      ('realtime.agentStart (setq omnirt-transcript--agent (the :agent)))
      ('realtime.handoff
       (omnirt-transcript-note "* %s hands over to %s"
                               (the :fromAgent) (the :toAgent)))
      ('realtime.toolStart (omnirt-transcript--tool params "…"))
      ('realtime.toolEnd
       (omnirt-transcript--tool
        params (omnirt-transcript--why (the :status) (the :error))))
      ((or 'realtime.error 'realtime.guardrailTripped)
       (omnirt-transcript-note "! %s" (the :message)))
      ('realtime.responseEnd
       (when (the :error)
         (omnirt-transcript-note "! %s" (plist-get (the :error) :message))))
      ('realtime.mcpStatus
       (when (equal (the :status) "failed")
         (omnirt-transcript-note
          "! The MCP server %s"
          (omnirt-transcript--why (concat (the :server) " failed")
                                  (the :error)))))
      ('realtime.flow
       (when (eq (the :lost) t)
         (omnirt-transcript-note "! %d ms of audio were lost"
                                 (the :droppedMs))))
      ('realtime.closed
       (omnirt-transcript-finish
        (omnirt-transcript--why (the :reason) (the :error)))))))

(provide 'omnirt-transcript)
;;; omnirt-transcript.el ends here
